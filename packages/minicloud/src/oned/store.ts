import { DatabaseSync, type StatementSync } from 'node:sqlite';

/** What every stored object has. */
export interface Stored {
  readonly id: number;
}

interface TableOptions<T> {
  /** Objects that are finished for good stay on disk only: they are read from there when asked for. */
  archived?: (object: T) => boolean;
  /** Secondary indexes over the objects in memory: the keys under which an object is found. */
  indexes?: Record<string, (object: T) => readonly (string | number)[]>;
}

/** A part of the store that takes part in its transactions. */
interface Participant {
  readonly changed: boolean;
  /** Writes what is staged to the database. */
  write(): void;
  /** Takes what is staged, and now written, into memory. */
  apply(): void;
  rollback(): void;
}

const none: ReadonlySet<number> = new Set();

/**
 * The objects of one kind. Objects are values: to change one, put a new one. Reads see what the current
 * transaction has put; nothing reaches memory or disk before it commits.
 */
export class Table<T extends Stored> implements Participant {
  readonly #live = new Map<number, T>();
  readonly #staged = new Map<number, T | undefined>();
  readonly #indexes = new Map<string, Map<string | number, Set<number>>>();
  readonly #options: TableOptions<T>;
  readonly #statements: Record<'write' | 'erase' | 'read' | 'archived', StatementSync>;

  constructor(db: DatabaseSync, name: string, options: TableOptions<T>) {
    this.#options = options;
    db.exec(`CREATE TABLE IF NOT EXISTS ${name} (id INTEGER PRIMARY KEY, live INTEGER NOT NULL, body TEXT NOT NULL)`);
    this.#statements = {
      write: db.prepare(
        `INSERT INTO ${name} (id, live, body) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET live = excluded.live, body = excluded.body`,
      ),
      erase: db.prepare(`DELETE FROM ${name} WHERE id = ?`),
      read: db.prepare(`SELECT body FROM ${name} WHERE id = ?`),
      archived: db.prepare(`SELECT body FROM ${name} WHERE live = 0 ORDER BY id`),
    };
    for (const index of Object.keys(options.indexes ?? {})) this.#indexes.set(index, new Map());
    for (const row of db.prepare(`SELECT body FROM ${name} WHERE live = 1 ORDER BY id`).iterate()) {
      this.#keep(JSON.parse(String(row.body)) as T);
    }
  }

  get(id: number): T | undefined {
    if (this.#staged.has(id)) return this.#staged.get(id);
    return this.committed(id);
  }

  put(object: T): void {
    this.#staged.set(object.id, object);
  }

  remove(id: number): void {
    this.#staged.set(id, undefined);
  }

  /** The objects in memory, lowest id first. */
  list(): T[] {
    const all: T[] = [];
    for (const object of this.#live.values()) if (!this.#staged.has(object.id)) all.push(object);
    for (const object of this.#staged.values()) if (object && !this.#isArchived(object)) all.push(object);
    return all.sort((a, b) => a.id - b.id);
  }

  /** The finished objects, lowest id first, from disk. */
  archive(): T[] {
    return this.#statements.archived.all().map(row => JSON.parse(String(row.body)) as T);
  }

  /** Ids of the committed objects under that key of an index. */
  lookup(index: string, key: string | number): ReadonlySet<number> {
    return this.#indexes.get(index)?.get(key) ?? none;
  }

  /** The object as it is without the current transaction. */
  committed(id: number): T | undefined {
    return this.#live.get(id) ?? this.#archived(id);
  }

  #archived(id: number): T | undefined {
    const row = this.#options.archived ? this.#statements.read.get(id) : undefined;
    return row ? (JSON.parse(String(row.body)) as T) : undefined;
  }

  /** What the current transaction puts; undefined stands for removed. */
  staged(): ReadonlyMap<number, T | undefined> {
    return this.#staged;
  }

  get changed(): boolean {
    return this.#staged.size > 0;
  }

  write(): void {
    for (const [id, object] of this.#staged) {
      if (!object) this.#statements.erase.run(id);
      else this.#statements.write.run(id, this.#isArchived(object) ? 0 : 1, JSON.stringify(object));
    }
  }

  apply(): void {
    for (const [id, object] of this.#staged) {
      this.#forget(id);
      if (object && !this.#isArchived(object)) this.#keep(object);
    }
    this.#staged.clear();
  }

  #isArchived(object: T): boolean {
    return this.#options.archived?.(object) ?? false;
  }

  rollback(): void {
    this.#staged.clear();
  }

  #keep(object: T): void {
    this.#live.set(object.id, object);
    for (const [name, keysOf] of Object.entries(this.#options.indexes ?? {})) {
      const index = this.#indexes.get(name);
      for (const key of keysOf(object)) {
        const ids = index?.get(key);
        if (ids) ids.add(object.id);
        else index?.set(key, new Set([object.id]));
      }
    }
  }

  #forget(id: number): void {
    const old = this.#live.get(id);
    if (!old) return;
    this.#live.delete(id);
    for (const [name, keysOf] of Object.entries(this.#options.indexes ?? {})) {
      const index = this.#indexes.get(name);
      for (const key of keysOf(old)) {
        const ids = index?.get(key);
        ids?.delete(id);
        if (ids?.size === 0) index?.delete(key);
      }
    }
  }
}

/**
 * oned's state in one SQLite file. WAL: what a transaction has committed is there after `kill -9`, and one that
 * was under way has left no trace.
 */
export class Store {
  readonly #db: DatabaseSync;
  readonly #participants: Participant[] = [];
  readonly #counters = new Map<string, number>();
  readonly #dirtyCounters = new Set<string>();
  readonly #writeCounter: StatementSync;
  #depth = 0;

  /** Opens or makes the file; `:memory:` keeps nothing. */
  constructor(file: string) {
    this.#db = new DatabaseSync(file);
    this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 5000');
    this.#db.exec('CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, next INTEGER NOT NULL)');
    for (const row of this.#db.prepare('SELECT name, next FROM counter').iterate()) {
      this.#counters.set(String(row.name), Number(row.next));
    }
    this.#writeCounter = this.#db.prepare(
      'INSERT INTO counter (name, next) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET next = excluded.next',
    );
  }

  table<T extends Stored>(name: string, options: TableOptions<T> = {}): Table<T> {
    const table = new Table<T>(this.#db, name, options);
    this.#participants.push(table);
    return table;
  }

  /** Whether a transaction is under way. */
  get inTransaction(): boolean {
    return this.#depth > 0;
  }

  /** The next free id of a kind, taken. An id that a refused request took is used up. */
  takeId(kind: string): number {
    const id = this.#counters.get(kind) ?? 0;
    this.setNextId(kind, id + 1);
    return id;
  }

  /** The id that the next object of a kind will have. */
  nextId(kind: string): number {
    return this.#counters.get(kind) ?? 0;
  }

  /** Moves the counter of a kind, as an operator may who wants ids to start elsewhere. */
  setNextId(kind: string, next: number): void {
    this.#counters.set(kind, next);
    this.#dirtyCounters.add(kind);
  }

  /**
   * Runs `work` as one transaction: all that it puts is committed when it returns, nothing when it throws (ids
   * that it took stay used up).
   */
  transaction<R>(work: () => R): R {
    if (this.inTransaction) return work();
    this.#depth += 1;
    try {
      const result = work();
      this.#commit();
      return result;
    } catch (error) {
      for (const participant of this.#participants) participant.rollback();
      this.#commit();
      throw error;
    } finally {
      this.#depth -= 1;
    }
  }

  #commit(): void {
    const changed = this.#participants.filter(participant => participant.changed);
    if (changed.length === 0 && this.#dirtyCounters.size === 0) return;
    this.#db.exec('BEGIN IMMEDIATE');
    try {
      for (const participant of changed) participant.write();
      for (const name of this.#dirtyCounters) this.#writeCounter.run(name, this.#counters.get(name) ?? 0);
      this.#db.exec('COMMIT');
      this.#dirtyCounters.clear();
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    }
    for (const participant of changed) participant.apply();
  }

  close(): void {
    this.#db.close();
  }
}
