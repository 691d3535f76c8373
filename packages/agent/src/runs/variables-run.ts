import { type Clock, isOneFlowerError, messageOf, type Settings } from '@oneflower/contract';
import type { FlowerRun } from '../flower-control/types.ts';
import type { Log } from '../log/log.ts';
import type { Checkpoint } from './checkpoints.ts';
import { findUnfinished } from './inherited.ts';
import type { RunLedger } from './ledger.ts';
import type { RunRecord, RunSource } from './store.ts';

export interface VariablesRunParts {
  clock: Clock;
  log: Log;
  settings(): Settings;
  onlineNodes(): number;
  /** Folder of the checkpoints; undefined where there are to be none. */
  checkpoints(): string | undefined;
  /** The app of the use case, with the run configuration of the variables. */
  useCase(): Promise<RunSource>;
  /** Hands an app to Flower; answers the run's id. `from` names a checkpoint, empty: a fresh start. */
  submit(app: string, source: RunSource, from: string): Promise<string>;
  /** Takes the run on once Flower has it. */
  taken(runId: string, facts: TakenRun): Promise<unknown>;
}

/** What is known of a run that was handed over. */
export interface TakenRun {
  app: string;
  by: RunRecord['submittedBy'];
  source: RunSource;
  /** The checkpoint that it begins with. */
  from?: { runId: string; round: number } | undefined;
}

const againMs = 30_000;

/** The run that the variables describe: submitted once in the life of the VM, as soon as enough nodes are online. */
export class VariablesRun {
  readonly #parts: VariablesRunParts;
  readonly #ledger: RunLedger;
  #refusal: string | undefined;
  #nextTry = 0;

  constructor(parts: VariablesRunParts, ledger: RunLedger) {
    this.#parts = parts;
    this.#ledger = ledger;
  }

  /** What stands between the service and this run, as a sentence. */
  waitingFor(): string {
    const { FL_MIN_AVAILABLE_CLIENTS } = this.#parts.settings();
    if (this.#refusal !== undefined) return this.#refusal;
    const online = this.#parts.onlineNodes();
    if (online < FL_MIN_AVAILABLE_CLIENTS) {
      return `${FL_MIN_AVAILABLE_CLIENTS} SuperNodes must be online before training starts; ${online} are.`;
    }
    return 'The run is about to be submitted.';
  }

  async submitWhenDue(): Promise<void> {
    const { clock, settings, onlineNodes } = this.#parts;
    const { FL_USE_CASE, FL_MIN_AVAILABLE_CLIENTS } = settings();
    const { state } = this.#ledger;
    if (state.fromVariables !== 'none' || FL_USE_CASE === 'none') return;
    if (onlineNodes() < FL_MIN_AVAILABLE_CLIENTS || clock.now() < this.#nextTry) return;
    state.fromVariables = 'submitting';
    state.knownBefore = state.runs.map(({ runId }) => runId);
    try {
      await this.#submit(FL_USE_CASE);
    } catch (error) {
      // Flower may have it all the same: the next look at its list tells before anything is submitted again.
      this.#nextTry = clock.now() + againMs;
      await this.#ledger.save();
      const words = isOneFlowerError(error) ? error.explain() : messageOf(error);
      if (this.#refusal !== words) this.#parts.log.error(`The run of the variables cannot be submitted: ${words}`);
      this.#refusal = words;
    }
  }

  /** A submission had no good end: if Flower has a run that was not there before, that is it. */
  async adoptInterrupted(runs: readonly FlowerRun[]): Promise<void> {
    const { state } = this.#ledger;
    if (state.fromVariables !== 'submitting') return;
    const { FL_USE_CASE } = this.#parts.settings();
    const known = new Set(state.knownBefore);
    // Newest first. One that has a name by now was handed over by an operator in the meantime.
    const adopted = runs.find(
      ({ runId, fabId }) => fabId.endsWith(`/${FL_USE_CASE}`) && !known.has(runId) && !this.#ledger.find(runId)?.app,
    );
    state.fromVariables = adopted ? 'submitted' : 'none';
    if (adopted) await this.#taken(adopted.runId, FL_USE_CASE, await this.#parts.useCase());
    else await this.#ledger.save();
  }

  async #submit(app: string): Promise<void> {
    const { submit, useCase } = this.#parts;
    const { state } = this.#ledger;
    const source = await useCase();
    const from = await this.#inherit(app);
    state.inherited = from ? { runId: from.runId, round: from.round } : null;
    // Not on disk, it would be submitted twice after a crash.
    await this.#ledger.saveNow();
    const runId = await submit(app, source, from ? `${from.runId}/${from.file}` : '');
    state.fromVariables = 'submitted';
    await this.#taken(runId, app, source);
  }

  async #taken(runId: string, app: string, source: RunSource): Promise<void> {
    this.#refusal = undefined;
    const from = this.#ledger.state.inherited ?? undefined;
    await this.#parts.taken(runId, { app, by: 'variables', source, from });
  }

  /** The disk of the checkpoints may have outlived another VM, whose run goes on here. */
  async #inherit(app: string): Promise<Checkpoint | undefined> {
    const { settings, checkpoints, log } = this.#parts;
    const folder = checkpoints();
    if (folder === undefined) return undefined;
    const { FL_STRATEGY, ML_FRAMEWORK, FL_NUM_ROUNDS, FL_CHECKPOINT_PATH } = settings();
    const wanted = { app, strategy: FL_STRATEGY, framework: ML_FRAMEWORK, rounds: FL_NUM_ROUNDS };
    const known = new Set(this.#ledger.runs.map(({ runId }) => runId));
    const { checkpoint, words } = await findUnfinished(folder, wanted, known);
    log.info(`${words} (FL_CHECKPOINT_PATH is ${FL_CHECKPOINT_PATH}.)`);
    return checkpoint;
  }
}
