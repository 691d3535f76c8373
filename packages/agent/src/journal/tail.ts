import { constants, type Stats } from 'node:fs';
import { type FileHandle, link, lstat, open, readFile, rm } from 'node:fs/promises';
import { type Clock, type FlowerEvent, messageOf, parseAppEvent, type Timer } from '@oneflower/contract';
import * as z from 'zod';
import { writeFileAtomic } from '../files.ts';
import type { Log } from '../log/log.ts';

export interface TailOptions {
  /** The journal that our code inside Flower writes, one JSON object a line. Hostile until parsed. */
  file: string;
  /** Where a journal that has grown long is laid aside: on the same file system, out of the apps' reach. */
  formerFile: string;
  /** Where the agent keeps how far it has read. */
  positionFile: string;
  clock: Clock;
  log: Log;
  take(event: FlowerEvent): void;
  /** When what was taken has been written; whether it is all on disk. Only then is it never read again. */
  stored(): Promise<boolean>;
  /** From which length on a journal is laid aside, bytes. */
  longestJournal?: number;
}

export interface Tail {
  /** Reads what is new now. */
  poll(): Promise<void>;
  /** Reads what is new now, then empties the journal. Only while nobody can be writing to it: before Flower is started. */
  cut(): Promise<void>;
  /** Reads what is new every half second from here on. */
  start(): void;
  stop(): void;
}

const pauseMs = 500;
/** A longer line is no event: a page of 500 of them is to stay below the 16 MiB that a client takes. */
const longestLine = 24 * 1024;
/** How much is read at once. */
const chunkBytes = 1024 * 1024;
/** Whoever has opened a journal before it was laid aside has written its event by then: one write to a local disk. */
const quietMs = 60_000;

const Place = z.object({ file: z.string(), offset: z.int().min(0) });
/** How far the journal was read, and the one that was laid aside while there is one. Files are known by their inodes. */
const Position = z.object({ ...Place.shape, former: Place.nullable().default(null) });
type Place = z.infer<typeof Place>;

/**
 * Follows the event journal across restarts of the agent, and of the file, which may be cut or replaced. A journal that
 * is long is laid aside while apps run: each of their events opens the file by its name anew, so the next ones go to
 * another. It is never cut meanwhile, which would lose what is written in that moment.
 */
export async function createTail(options: TailOptions): Promise<Tail> {
  const { file, formerFile, positionFile, clock, log, take, stored, longestJournal = 8 * 1024 ** 2 } = options;
  let position = await loadPosition(positionFile);
  let saved = JSON.stringify(position);
  let formerGrew = clock.now();
  let timer: Timer | undefined;
  let running: Promise<void> = Promise.resolve();
  let warned = false;
  let canLayAside = true;
  let stopped = false;

  async function read(): Promise<void> {
    await readFormer();
    await withFile(file, constants.O_RDONLY, async (handle, { size, ino }) => {
      if (position.file !== String(ino)) Object.assign(position, { file: String(ino), offset: 0 });
      await readOn(handle, size, position);
    });
    await savePosition();
  }

  /** What came late to the journal that was laid aside; when nothing does any more it is removed. */
  async function readFormer(): Promise<void> {
    const found = await lstat(formerFile).catch(() => undefined);
    if (!found?.isFile()) {
      position.former = null;
      return;
    }
    if (await isSame(file, found)) {
      // It was to be laid aside when the agent died.
      await rm(formerFile, { force: true });
      return;
    }
    const former = position.former ?? { file: position.file, offset: position.offset };
    if (former.file !== String(found.ino)) Object.assign(former, { file: String(found.ino), offset: 0 });
    position = { ...(former.file === position.file ? { file: '', offset: 0 } : position), former };
    await withFile(formerFile, constants.O_RDONLY, async (handle, { size }) => {
      const before = former.offset;
      await readOn(handle, size, former);
      if (former.offset !== before) formerGrew = clock.now();
    });
    if (clock.now() - formerGrew >= quietMs && (await savePosition())) await rm(formerFile, { force: true });
  }

  async function layAsideWhenLong(): Promise<void> {
    const found = await lstat(file).catch(() => undefined);
    if (!canLayAside || !found || position.former || found.size < longestJournal) return;
    if (String(found.ino) !== position.file || found.size !== position.offset) return;
    try {
      await link(file, formerFile);
      // An app may have put something else in its place in this moment.
      await rm((await isSame(formerFile, found)) ? file : formerFile, { force: true });
    } catch (error) {
      canLayAside = false;
      log.warning(`The event journal of the apps is long and cannot be laid aside: ${messageOf(error)}.`);
      return;
    }
    formerGrew = clock.now();
    await readFormer();
    await savePosition();
  }

  async function empty(): Promise<void> {
    if (!(await savePosition())) return;
    await rm(formerFile, { force: true });
    await withFile(file, constants.O_RDWR, async (handle, { size, ino }) => {
      // What is left is a line that nobody will finish any more.
      if (size > 0) await handle.truncate(0);
      Object.assign(position, { file: String(ino), offset: 0 });
    });
    position.former = null;
    await savePosition();
  }

  /** Only what is on disk elsewhere is never read again. Whether that is all. */
  async function savePosition(): Promise<boolean> {
    const text = JSON.stringify(position);
    if (text === saved) return true;
    if (!(await stored())) return false;
    await writeFileAtomic(positionFile, text, { mode: 0o600 });
    saved = text;
    return true;
  }

  /** Takes all whole lines from a place on, and moves it. A file that is shorter than that was cut. */
  async function readOn(handle: FileHandle, size: number, place: Place): Promise<void> {
    if (place.offset > size) place.offset = 0;
    for (let used = -1; used !== 0; place.offset += used) {
      const room = Buffer.alloc(Math.min(size - place.offset, chunkBytes));
      const { bytesRead } = await handle.read(room, 0, room.length, place.offset);
      used = consume(room.subarray(0, bytesRead));
      if (used === 0 && bytesRead === chunkBytes) {
        refuse();
        used = bytesRead;
      }
      // An app may write faster than the disk takes events: what waits is not to pile up.
      if (used > 0) await stored();
    }
  }

  /** Takes the whole lines of a chunk; how many bytes they were. */
  function consume(chunk: Buffer): number {
    const end = chunk.lastIndexOf(0x0a);
    if (end === -1) return 0;
    for (const line of chunk.subarray(0, end).toString('utf8').split('\n')) {
      if (line.trim() === '') continue;
      const event = line.length > longestLine ? undefined : parseAppEvent(line);
      if (event) take(event);
      else refuse();
    }
    return end + 1;
  }

  function refuse(): void {
    if (!warned) log.warning('The event journal of the apps holds lines that are no events; they are passed over.');
    warned = true;
  }

  async function inTurn(run: () => Promise<void>): Promise<void> {
    running = running.then(run).catch((error: unknown) => {
      log.warning(`The event journal of the apps cannot be read at present: ${messageOf(error)}.`);
    });
    await running;
  }

  function poll(): Promise<void> {
    return inTurn(async () => {
      await read();
      await layAsideWhenLong();
    });
  }

  function next(): void {
    if (stopped) return;
    timer = clock.after(pauseMs, () => void poll().then(next));
  }

  return {
    poll,
    cut: () =>
      inTurn(async () => {
        await read();
        await empty();
      }),
    start: next,
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}

/** Runs with a file open, where there is one. An app may have put a link or a pipe there. */
async function withFile(
  path: string,
  mode: number,
  run: (handle: FileHandle, stat: Stats) => Promise<void>,
): Promise<void> {
  const handle = await open(path, mode | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined);
  if (!handle) return;
  try {
    const stat = await handle.stat();
    if (stat.isFile()) await run(handle, stat);
  } finally {
    await handle.close();
  }
}

async function isSame(path: string, { ino, dev }: Stats): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found !== undefined && found.ino === ino && found.dev === dev;
}

async function loadPosition(file: string): Promise<z.infer<typeof Position>> {
  try {
    return Position.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return { file: '', offset: 0, former: null };
  }
}
