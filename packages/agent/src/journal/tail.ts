import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { type Clock, type FlowerEvent, messageOf, parseAppEvent, type Timer } from '@oneflower/contract';
import * as z from 'zod';
import { writeFileAtomic } from '../files.ts';
import type { Log } from '../log/log.ts';

export interface TailOptions {
  /** The journal that our code inside Flower writes, one JSON object a line. Hostile until parsed. */
  file: string;
  /** Where the agent keeps how far it has read. */
  positionFile: string;
  clock: Clock;
  log: Log;
  take(event: FlowerEvent): void;
}

export interface Tail {
  /** Reads what is new now. */
  poll(): Promise<void>;
  /** Reads what is new now, then empties the file. Only while nobody can be writing to it: before Flower is started. */
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

const Position = z.object({ file: z.string(), offset: z.int().min(0) });

/** Follows the event journal across restarts of the agent, and of the file, which may be cut or replaced. */
export async function createTail({ file, positionFile, clock, log, take }: TailOptions): Promise<Tail> {
  let position = await loadPosition(positionFile);
  let timer: Timer | undefined;
  let running: Promise<void> = Promise.resolve();
  let warned = false;
  let stopped = false;

  /** Runs with the journal open, where there is one. An app may have put a link or a pipe there. */
  async function withJournal(mode: number, run: (handle: FileHandle, stat: Stats) => Promise<void>): Promise<void> {
    const handle = await open(file, mode | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined);
    if (!handle) return;
    try {
      const stat = await handle.stat();
      if (stat.isFile()) await run(handle, stat);
    } finally {
      await handle.close();
    }
  }

  async function read(): Promise<void> {
    await withJournal(constants.O_RDONLY, async (handle, { size, ino }) => {
      if (position.file !== String(ino) || position.offset > size) position = { file: String(ino), offset: 0 };
      const before = position.offset;
      for (let used = -1; used !== 0; position.offset += used) {
        const room = Buffer.alloc(Math.min(size - position.offset, chunkBytes));
        const { bytesRead } = await handle.read(room, 0, room.length, position.offset);
        used = consume(room.subarray(0, bytesRead));
        if (used === 0 && bytesRead === chunkBytes) {
          refuse();
          used = bytesRead;
        }
      }
      if (position.offset !== before) await savePosition();
    });
  }

  async function empty(): Promise<void> {
    await withJournal(constants.O_RDWR, async (handle, { size, ino }) => {
      if (size === 0) return;
      // What is left is a line that nobody will finish any more.
      await handle.truncate(0);
      position = { file: String(ino), offset: 0 };
      await savePosition();
    });
  }

  async function savePosition(): Promise<void> {
    await writeFileAtomic(positionFile, JSON.stringify(position), { mode: 0o600 });
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
    return inTurn(read);
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

async function loadPosition(file: string): Promise<z.infer<typeof Position>> {
  try {
    return Position.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return { file: '', offset: 0 };
  }
}
