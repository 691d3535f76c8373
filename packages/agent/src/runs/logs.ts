import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isOneFlowerError, messageOf, type RunLogs } from '@oneflower/contract';
import type { ControlApi } from '../flower-control/types.ts';
import type { Layout } from '../layout.ts';
import type { Log } from '../log/log.ts';
import { BoundedLog, type LogLimits } from './bounded-log.ts';

/** Of how many runs the logs are kept: those that were asked for last. Flower is asked again for another. */
const mostLogs = 20;

interface Following {
  log: BoundedLog;
  ended: boolean;
  stop: AbortController;
  done: Promise<void>;
}

/** Logs of runs by byte offset: Flower serves them by time and from memory only, so they are copied to disk. */
export class RunLogBook {
  readonly #layout: Layout;
  readonly #log: Log;
  readonly #limits: Partial<LogLimits>;
  /** The one that was asked for last is the last. */
  readonly #following = new Map<string, Following>();
  /** Until the logs that are no longer kept are gone. */
  #ending: Promise<void> = Promise.resolve();

  constructor(layout: Layout, log: Log, limits: Partial<LogLimits> = {}) {
    this.#layout = layout;
    this.#log = log;
    this.#limits = limits;
  }

  /** Text of a run's log from a byte offset on. The first question begins to copy it. */
  async read(control: ControlApi, runId: string, after: number): Promise<RunLogs> {
    const following = this.#following.get(runId) ?? this.#follow(control, runId);
    this.#following.delete(runId);
    this.#following.set(runId, following);
    await this.#endLeastAsked();
    // Asked first: what comes until the piece is read is not to be passed over.
    const { ended } = following;
    const { text, next, atEnd } = await following.log.read(after);
    return { text, next, ended: ended && atEnd };
  }

  /** Ends all copying. */
  async close(): Promise<void> {
    const all = [...this.#following.values()];
    this.#following.clear();
    for (const { stop } of all) stop.abort();
    await Promise.all([this.#ending, ...all.map(({ done }) => done)]);
  }

  #follow(control: ControlApi, runId: string): Following {
    const log = new BoundedLog(join(this.#layout.runs, `${runId}.log`), this.#limits);
    const following: Following = { log, ended: false, stop: new AbortController(), done: Promise.resolve() };
    following.done = this.#copy(control, runId, following).catch((error: unknown) => {
      // The next question begins anew.
      if (this.#following.get(runId) === following) this.#following.delete(runId);
      if (following.stop.signal.aborted) return;
      const said = isOneFlowerError(error) ? error.explain() : messageOf(error);
      this.#log.debug(`The log of run ${runId} cannot be read at present: ${said}`);
    });
    return following;
  }

  async #copy(control: ControlApi, runId: string, following: Following): Promise<void> {
    await this.#ending;
    await this.#removeLeftOver(runId);
    const { log, stop } = following;
    for await (const { text } of control.streamLogs(runId, 0, stop.signal)) {
      if (stop.signal.aborted) return;
      await log.append(text);
    }
    following.ended = true;
  }

  #endLeastAsked(): Promise<void> {
    const least = [...this.#following].slice(0, Math.max(0, this.#following.size - mostLogs));
    for (const [runId, { stop, done, log }] of least) {
      this.#following.delete(runId);
      stop.abort();
      // A file that cannot be removed now is one that is left over when the next log begins.
      this.#ending = Promise.all([this.#ending, done])
        .then(() => log.remove())
        .catch(() => undefined);
    }
    return this.#ending;
  }

  /** Files of an earlier life of the agent, or of an attempt that was broken off: of a log that is copied now, too. */
  async #removeLeftOver(begun: string): Promise<void> {
    for (const name of await readdir(this.#layout.runs)) {
      const runId = /^(\d+)\.log(\.\d+)?$/.exec(name)?.[1];
      if (runId === undefined || (runId !== begun && this.#following.has(runId))) continue;
      await rm(join(this.#layout.runs, name), { force: true });
    }
  }
}
