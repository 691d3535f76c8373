import { isOneFlowerError, messageOf } from '@oneflower/contract';
import type { FlowerRun } from '../flower-control/types.ts';
import type { Log } from '../log/log.ts';
import { loadRuns, newRecord, type RunRecord, type RunState, saveRuns, withoutOld } from './store.ts';

/** How many runs are remembered: Flower's newest, and those at work. */
export const mostRuns = 200;

/** What the agent knows of its runs, in memory and on disk. */
export class RunLedger {
  readonly state: RunState;
  readonly #file: string;
  readonly #log: Log;
  #saving: Promise<void> = Promise.resolve();

  private constructor(file: string, state: RunState, log: Log) {
    this.#file = file;
    this.state = state;
    this.#log = log;
  }

  /** @throws OneFlowerError `state_write_failed` when the record of the runs cannot be read. */
  static async open(file: string, log: Log): Promise<RunLedger> {
    return new RunLedger(file, await loadRuns(file), log);
  }

  get runs(): readonly RunRecord[] {
    return this.state.runs;
  }

  find(runId: string): RunRecord | undefined {
    return this.state.runs.find(run => run.runId === runId);
  }

  remember(runId: string, app: string, submittedBy: RunRecord['submittedBy']): RunRecord {
    const record = newRecord(runId, app, submittedBy);
    this.state.runs.push(record);
    return record;
  }

  /** Forgets the oldest runs beyond {@link mostRuns}. */
  forgetOld(newest: readonly FlowerRun[]): void {
    this.state.runs = withoutOld(this.state.runs, newest, mostRuns);
  }

  /** A run and those that it continues, latest first; one that is not remembered ends the chain. */
  chain(record: RunRecord): RunRecord[] {
    const chain: RunRecord[] = [];
    for (let next: RunRecord | undefined = record; next && !chain.includes(next); ) {
      chain.push(next);
      next = next.continues === null ? undefined : this.find(next.continues);
    }
    return chain;
  }

  /** Writes what is known, sooner or later; a failure goes to the log. */
  save(): Promise<void> {
    this.#saving = this.#saving
      .then(() => saveRuns(this.#file, this.state))
      .catch((error: unknown) => this.#log.error(isOneFlowerError(error) ? error.explain() : messageOf(error)));
    return this.#saving;
  }

  /**
   * Writes what is known before something is done that must not be done twice.
   *
   * @throws OneFlowerError `state_write_failed`
   */
  async saveNow(): Promise<void> {
    await this.#saving;
    await saveRuns(this.#file, this.state);
  }

  /** Until everything known is on disk. */
  async flushed(): Promise<void> {
    await this.#saving;
  }
}
