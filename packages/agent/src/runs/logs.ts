import { appendFile, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isOneFlowerError, messageOf, type RunLogs } from '@oneflower/contract';
import type { ControlApi } from '../flower-control/types.ts';
import type { Layout } from '../layout.ts';
import type { Log } from '../log/log.ts';

/** Longest piece that one answer carries. */
const pieceBytes = 256 * 1024;

interface Following {
  ended: boolean;
  stop: AbortController;
  done: Promise<void>;
}

/** Logs of runs by byte offset: Flower serves them by time and from memory only, so they are copied to disk. */
export class RunLogBook {
  readonly #layout: Layout;
  readonly #log: Log;
  readonly #following = new Map<string, Following>();

  constructor(layout: Layout, log: Log) {
    this.#layout = layout;
    this.#log = log;
  }

  /** Text of a run's log from a byte offset on. The first question begins to copy it. */
  async read(control: ControlApi, runId: string, after: number): Promise<RunLogs> {
    const following = this.#following.get(runId) ?? (await this.#follow(control, runId));
    const { text, next, atEnd } = await readPiece(this.#file(runId), after);
    return { text, next, ended: following.ended && atEnd };
  }

  /** Ends all copying. */
  async close(): Promise<void> {
    const all = [...this.#following.values()];
    this.#following.clear();
    for (const { stop } of all) stop.abort();
    await Promise.all(all.map(({ done }) => done));
  }

  async #follow(control: ControlApi, runId: string): Promise<Following> {
    const file = this.#file(runId);
    const stop = new AbortController();
    const following: Following = { ended: false, stop, done: Promise.resolve() };
    this.#following.set(runId, following);
    await rm(file, { force: true });
    following.done = this.#copy(control, runId, file, stop.signal)
      .then(() => {
        following.ended = true;
      })
      .catch((error: unknown) => {
        // The next question begins anew.
        this.#following.delete(runId);
        if (stop.signal.aborted) return;
        const said = isOneFlowerError(error) ? error.explain() : messageOf(error);
        this.#log.debug(`The log of run ${runId} cannot be read at present: ${said}`);
      });
    return following;
  }

  async #copy(control: ControlApi, runId: string, file: string, signal: AbortSignal): Promise<void> {
    for await (const { text } of control.streamLogs(runId, 0, signal)) await appendFile(file, text, { mode: 0o600 });
  }

  #file(runId: string): string {
    return join(this.#layout.runs, `${runId}.log`);
  }
}

/** A piece that ends at the end of a line where it can, so that no character is cut. */
async function readPiece(file: string, after: number): Promise<{ text: string; next: number; atEnd: boolean }> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (!handle) return { text: '', next: after, atEnd: true };
  try {
    const { size } = await handle.stat();
    const start = after > size ? 0 : after;
    const room = Buffer.alloc(Math.min(pieceBytes, size - start));
    const { bytesRead } = await handle.read(room, 0, room.length, start);
    const whole = start + bytesRead === size ? bytesRead : room.lastIndexOf(0x0a) + 1 || bytesRead;
    return { text: room.toString('utf8', 0, whole), next: start + whole, atEnd: start + whole === size };
  } finally {
    await handle.close();
  }
}
