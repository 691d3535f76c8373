import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import {
  type Clock,
  type EventData,
  isOneFlowerError,
  messageOf,
  type RunSummary,
  type Settings,
} from '@oneflower/contract';
import type { ControlApi, FlowerRun } from '../flower-control/types.ts';
import type { EventHub, NumberedEvent } from '../journal/event-hub.ts';
import type { Layout } from '../layout.ts';
import type { Log } from '../log/log.ts';
import { keepModel } from './models.ts';
import { applyEvent, endOf, explainFailure, runOf } from './progress.ts';
import { loadRuns, newRecord, type RunRecord, type RunState, saveRuns, withoutOld } from './store.ts';

export interface RunKeeperParts {
  layout: Layout;
  clock: Clock;
  log: Log;
  events: EventHub;
  settings(): Settings;
  flowerVersion(): string;
  control(): ControlApi;
  onlineNodes(): number;
  /** Hands the app of the use case to Flower; answers the run's id. */
  submitUseCase(): Promise<string>;
}

/** How many runs are remembered: Flower's newest, and those at work. */
const mostRuns = 200;

/** Follows the runs of a SuperLink and submits the one that the variables describe, once in the life of the VM. */
export class RunKeeper {
  readonly #parts: RunKeeperParts;
  readonly #file: string;
  #state: RunState;
  #saving: Promise<void> = Promise.resolve();
  #refusal: string | undefined;
  #nextTry = 0;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #unlisten: () => void;
  /** A run of which apps tell and that Flower has not listed yet. One is enough to speak of: an app can make up any. */
  #unheardOf: string | undefined;
  #saidInvented = false;

  private constructor(parts: RunKeeperParts, file: string, state: RunState) {
    this.#parts = parts;
    this.#file = file;
    this.#state = state;
    this.#unlisten = parts.events.listen(event => this.#observe(event));
  }

  /** @throws OneFlowerError `state_write_failed` when the record of the runs cannot be read. */
  static async open(parts: RunKeeperParts): Promise<RunKeeper> {
    const file = join(parts.layout.state, 'runs.json');
    const keeper = new RunKeeper(parts, file, await loadRuns(file));
    const known = new Set(keeper.#state.runs.map(({ runId }) => runId));
    if (keeper.#catchUp(known)) await keeper.#save();
    return keeper;
  }

  /** Newest first. */
  list(): RunSummary[] {
    return this.#state.runs.map(summaryOf).reverse();
  }

  find(runId: string): RunSummary | undefined {
    const record = this.#record(runId);
    return record && summaryOf(record);
  }

  /** The run that is at work, else the last one. */
  current(): RunSummary | undefined {
    const runs = this.list();
    return runs.find(run => run.endedAt === null) ?? runs[0];
  }

  isTraining(): boolean {
    return this.#state.runs.some(run => run.endedAt === null);
  }

  /** What stands between the service and its run from variables, as a sentence; null when nothing does. */
  waitingFor(): string | null {
    const { FL_USE_CASE, FL_MIN_AVAILABLE_CLIENTS } = this.#parts.settings();
    if (this.#state.fromVariables === 'submitted') return this.#lostRun();
    if (FL_USE_CASE === 'none') return this.isTraining() ? null : 'FL_USE_CASE is none: a run has to be submitted.';
    if (this.#refusal !== undefined) return this.#refusal;
    const online = this.#parts.onlineNodes();
    if (online < FL_MIN_AVAILABLE_CLIENTS) {
      return `${FL_MIN_AVAILABLE_CLIENTS} SuperNodes must be online before training starts; ${online} are.`;
    }
    return 'The run is about to be submitted.';
  }

  /**
   * Compares with Flower's list of runs and submits what is due. Called every few seconds; throws nothing. One at a
   * time: a second one would take the first one's submission for interrupted.
   */
  tick(): Promise<void> {
    const result = this.#turn.then(() => this.#look());
    this.#turn = result;
    return result;
  }

  async #look(): Promise<void> {
    const { control, log } = this.#parts;
    try {
      const before = this.#state.runs.filter(({ endedAt }) => endedAt === null);
      const unheardOf = this.#unheardOf;
      const listedRuns = await control().listRuns();
      const runs = listedRuns.slice(0, mostRuns);
      if (this.#state.fromVariables === 'submitting') await this.#adoptInterrupted(runs);
      const news = runs.filter(({ runId }) => !this.#record(runId)).toReversed();
      for (const { runId, fabId } of news) this.#remember(runId, fabId, 'operator');
      this.#catchUp(new Set(news.map(({ runId }) => runId)));
      for (const run of listedRuns) this.#compare(run);
      const listed = new Set(listedRuns.map(({ runId }) => runId));
      for (const record of before) if (!listed.has(record.runId)) this.#endLost(record);
      this.#state.runs = withoutOld(this.#state.runs, runs, mostRuns);
      if (news.length > 0) await this.#save();
      if (unheardOf !== undefined) this.#sayInvented(unheardOf);
      await this.#submitWhenDue();
    } catch (error) {
      log.debug(`The runs cannot be read at present: ${messageOf(error)}`);
    }
  }

  /** Remembers a run that was handed to Flower. */
  async add(runId: string, app: string, by: 'variables' | 'operator'): Promise<RunSummary> {
    const known = this.#record(runId);
    const record = known ?? this.#remember(runId, app, by);
    Object.assign(record, { app, submittedBy: by });
    this.#parts.events.emit('run_submitted', { run_id: runId, app, by });
    // A ServerApp can be quicker than the answer of the call that has submitted it.
    if (!known) this.#catchUp(new Set([runId]));
    await this.#save();
    return summaryOf(record);
  }

  /** Until everything known is on disk. */
  async flushed(): Promise<void> {
    await this.#saving;
  }

  /** Hears no more events; what is known is on disk. */
  async close(): Promise<void> {
    this.#unlisten();
    await this.flushed();
  }

  async #submitWhenDue(): Promise<void> {
    const { clock, settings, onlineNodes, submitUseCase, log } = this.#parts;
    const { FL_USE_CASE, FL_MIN_AVAILABLE_CLIENTS } = settings();
    if (this.#state.fromVariables !== 'none' || FL_USE_CASE === 'none') return;
    if (onlineNodes() < FL_MIN_AVAILABLE_CLIENTS || clock.now() < this.#nextTry) return;
    this.#state.fromVariables = 'submitting';
    this.#state.knownBefore = this.#state.runs.map(({ runId }) => runId);
    try {
      // Not on disk, it would be submitted twice after a crash.
      await saveRuns(this.#file, this.#state);
      const runId = await submitUseCase();
      this.#state.fromVariables = 'submitted';
      this.#refusal = undefined;
      await this.add(runId, FL_USE_CASE, 'variables');
    } catch (error) {
      // Flower may have it all the same: the next look at its list tells before anything is submitted again.
      this.#nextTry = clock.now() + 30_000;
      await this.#save();
      const words = isOneFlowerError(error) ? error.explain() : messageOf(error);
      if (this.#refusal !== words) log.error(`The run of the variables cannot be submitted: ${words}`);
      this.#refusal = words;
    }
  }

  /** A submission had no good end: if Flower has a run that was not there before, that is it. */
  async #adoptInterrupted(runs: readonly FlowerRun[]): Promise<void> {
    const { FL_USE_CASE } = this.#parts.settings();
    const known = new Set(this.#state.knownBefore);
    // Newest first. One that has a name by now was handed over by an operator in the meantime.
    const adopted = runs.find(
      ({ runId, fabId }) => fabId.endsWith(`/${FL_USE_CASE}`) && !known.has(runId) && !this.#record(runId)?.app,
    );
    this.#state.fromVariables = adopted ? 'submitted' : 'none';
    if (!adopted) return this.#save();
    this.#refusal = undefined;
    await this.add(adopted.runId, FL_USE_CASE, 'variables');
  }

  #compare(run: FlowerRun): void {
    const record = this.#record(run.runId);
    if (!record || record.endedAt !== null) return;
    const status = run.status === 'finished' ? endOf(run.subStatus) : run.status;
    if (record.status !== status || (record.startedAt === null && run.runningAt !== '')) {
      Object.assign(record, { status, details: run.details, startedAt: run.runningAt || record.startedAt });
      if (run.status === 'finished') this.#end(record, run);
      void this.#save();
    }
  }

  #end(record: RunRecord, run: FlowerRun): void {
    const status = endOf(run.subStatus);
    record.endedAt = run.finishedAt || new Date(this.#parts.clock.now()).toISOString();
    record.details = status === 'failed' ? explainFailure(run.details, record) : run.details;
    const { runId, details, roundsDone } = record;
    this.#parts.events.emit('run_ended', { run_id: runId, status, details, rounds_done: roundsDone });
  }

  /** Flower's database was replaced: a run that it does not know never ends by itself. */
  #endLost(record: RunRecord): void {
    const { clock, events } = this.#parts;
    record.status = 'failed';
    record.endedAt = new Date(clock.now()).toISOString();
    record.details = 'Flower no longer knows this run: its database (FL_DATABASE) was replaced or removed.';
    const { runId, details, roundsDone } = record;
    events.emit('run_ended', { run_id: runId, status: 'failed', details, rounds_done: roundsDone });
    void this.#save();
  }

  #lostRun(): string | null {
    const last = this.#state.runs.findLast(run => run.submittedBy === 'variables');
    return last?.status === 'failed' ? last.details : null;
  }

  /** What the apps have told of these runs before they were known: while the agent was away, and since it started. */
  #catchUp(runIds: ReadonlySet<string>): boolean {
    const { events, layout } = this.#parts;
    let news = false;
    for (const told of events.kept()) {
      const runId = runOf(told);
      const record = runId !== undefined && runIds.has(runId) ? this.#record(runId) : undefined;
      if (!record) continue;
      news = applyEvent(record, told) || news;
      if (told.event !== 'model_written') continue;
      const written = told.data as EventData<'model_written'>;
      if (existsSync(join(layout.appModels, basename(written.file)))) void this.#keepModel(written);
    }
    return news;
  }

  /** Only of runs that Flower or an operator has named: an app may write what it likes. */
  #observe(told: NumberedEvent): void {
    const runId = runOf(told);
    if (runId === undefined) return;
    const record = this.#record(runId);
    if (!record) {
      if (told.event === 'training_start') this.#unheardOf ??= runId;
      return;
    }
    if (told.event === 'model_written') void this.#keepModel(told.data as EventData<'model_written'>);
    if (applyEvent(record, told)) void this.#save();
  }

  /** An app has told of the run before Flower was asked for its list: now it would be there. */
  #sayInvented(runId: string): void {
    this.#unheardOf = undefined;
    if (this.#saidInvented || this.#record(runId)) return;
    this.#saidInvented = true;
    this.#parts.log.warning(`An app tells of runs that Flower does not know, such as ${runId}: they are passed over.`);
  }

  async #keepModel(written: EventData<'model_written'>): Promise<void> {
    const { layout, clock, events, log, flowerVersion } = this.#parts;
    const record = this.#record(written.run_id);
    if (record?.model) return;
    const savedAt = new Date(clock.now()).toISOString();
    try {
      const about = { app: record?.app ?? '', flowerVersion: flowerVersion(), savedAt };
      const { runId, file, bytes, sha256 } = await keepModel(layout, written, about);
      events.emit('model_saved', { run_id: runId, file, bytes, sha256 });
    } catch (error) {
      log.error(isOneFlowerError(error) ? error.explain() : messageOf(error));
    }
  }

  #record(runId: string): RunRecord | undefined {
    return this.#state.runs.find(run => run.runId === runId);
  }

  #remember(runId: string, app: string, submittedBy: 'variables' | 'operator'): RunRecord {
    const record = newRecord(runId, app, submittedBy);
    this.#state.runs.push(record);
    return record;
  }

  #save(): Promise<void> {
    this.#saving = this.#saving
      .then(() => saveRuns(this.#file, this.#state))
      .catch((error: unknown) => this.#parts.log.error(isOneFlowerError(error) ? error.explain() : messageOf(error)));
    return this.#saving;
  }
}

function summaryOf({ roundsDone: _, ...summary }: RunRecord): RunSummary {
  return summary;
}
