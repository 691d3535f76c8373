import { appendFile, open, rm } from 'node:fs/promises';

/** A piece of a log, and where the next one begins. */
export interface LogPiece {
  text: string;
  next: number;
  atEnd: boolean;
}

export interface LogLimits {
  /** How much of the beginning is kept. */
  head: number;
  /** How much of the end is kept at least, and at most twice that. */
  tail: number;
  /** Longest piece. */
  piece: number;
}

/** A file that holds the bytes of the log from `start` on. */
interface Part {
  file: string;
  start: number;
  length: number;
}

const newline = 0x0a;
const defaults: LogLimits = { head: 4 * 1024 ** 2, tail: 4 * 1024 ** 2, piece: 256 * 1024 };

/**
 * A log on disk of which only the beginning and the end are kept when it is long. Offsets are those of the whole log,
 * and whoever reads across what is missing is told so.
 */
export class BoundedLog {
  readonly #limits: LogLimits;
  readonly #head: Part;
  #headIsFull = false;
  /** The last two parts after the head: when a third begins, the first of them goes. */
  #tail: Part[] = [];
  #begun = 0;

  constructor(file: string, limits: Partial<LogLimits> = {}) {
    this.#limits = { ...defaults, ...limits };
    this.#head = { file, start: 0, length: 0 };
  }

  /** Not to be called again before it has ended. */
  async append(text: string): Promise<void> {
    let rest: Buffer = Buffer.from(text);
    while (rest.length > 0) {
      const { part, room } = await this.#partWithRoom();
      const taken = rest.subarray(0, fitting(rest, room));
      // What is left goes to the next part.
      if (taken.length < rest.length) this.#headIsFull = true;
      await appendFile(part.file, taken, { mode: 0o600 });
      part.length += taken.length;
      rest = rest.subarray(taken.length);
      if (rest.length > 0 && part !== this.#head) await this.#beginPart();
    }
  }

  /** From an offset on; one that the log has not reached begins at its start. */
  async read(after: number): Promise<LogPiece> {
    const parts = [this.#head, ...this.#tail];
    const end = endOf(parts.at(-1) ?? this.#head);
    const from = after > end ? 0 : after;
    const part = parts.find(candidate => from < endOf(candidate));
    if (!part) return { text: '', next: from, atEnd: true };
    const start = Math.max(from, part.start);
    const missing = start - from;
    const bytes = await readBytes(part, start, this.#limits.piece);
    if (!bytes) return { text: '', next: from, atEnd: false };
    const next = start + bytes.length;
    return { text: noticeOf(missing) + bytes.toString('utf8'), next, atEnd: next === end };
  }

  async remove(): Promise<void> {
    for (const { file } of [this.#head, ...this.#tail]) await rm(file, { force: true });
  }

  async #partWithRoom(): Promise<{ part: Part; room: number }> {
    if (!this.#headIsFull) return { part: this.#head, room: this.#limits.head - this.#head.length };
    const part = this.#tail.at(-1) ?? (await this.#beginPart());
    return { part, room: this.#limits.tail - part.length };
  }

  async #beginPart(): Promise<Part> {
    const part = {
      file: `${this.#head.file}.${++this.#begun}`,
      start: endOf(this.#tail.at(-1) ?? this.#head),
      length: 0,
    };
    const dropped = this.#tail.slice(0, -1);
    this.#tail = [...this.#tail.slice(-1), part];
    for (const { file } of dropped) await rm(file, { force: true });
    return part;
  }
}

function endOf({ start, length }: Part): number {
  return start + length;
}

function noticeOf(missing: number): string {
  return missing === 0
    ? ''
    : `\n[oneflower: the log is too long to be kept whole; ${missing} bytes are left out here]\n`;
}

/** The bytes of a part from an offset of the log on; undefined when the part has gone meanwhile. */
async function readBytes(part: Part, start: number, most: number): Promise<Buffer | undefined> {
  const handle = await open(part.file, 'r').catch(() => undefined);
  if (!handle) return undefined;
  try {
    const left = endOf(part) - start;
    // One more than is given: whether a character is cut shows at the first byte after it.
    const room = Buffer.alloc(Math.min(most + 1, left));
    const { bytesRead } = await handle.read(room, 0, room.length, start - part.start);
    return room.subarray(0, fitting(room.subarray(0, bytesRead), most));
  } finally {
    await handle.close();
  }
}

/** How many bytes go into a room: all, else whole lines, else whole characters of UTF-8. */
function fitting(bytes: Buffer, room: number): number {
  if (bytes.length <= room) return bytes.length;
  const lines = bytes.subarray(0, room).lastIndexOf(newline) + 1;
  if (lines > 0) return lines;
  let end = room;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return end;
}
