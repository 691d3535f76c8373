import { join } from 'node:path';
import {
  type Clock,
  type EventData,
  messageOf,
  type RunHistory,
  type RunSummary,
  type Settings,
} from '@oneflower/contract';
import type { ControlApi, FlowerRun } from '../flower-control/types.ts';
import type { EventHub, NumberedEvent } from '../journal/event-hub.ts';
import type { Layout } from '../layout.ts';
import type { Log } from '../log/log.ts';
import type { Checkpoint } from './checkpoints.ts';
import { type Ending, endOf, judge, judgeFault } from './endings.ts';
import { FinalModels } from './final-models.ts';
import { RunHistories } from './history.ts';
import { mostRuns, RunLedger } from './ledger.ts';
import { applyEvent, nodesMissing, runOf } from './progress.ts';
import { unknownRun } from './refusals.ts';
import { Resumption } from './resumption.ts';
import { beginAt, neededUploads, type RunRecord, type RunSource, superseded } from './store.ts';
import { summaryOf } from './summary.ts';
import { UnheardOf } from './unheard-of.ts';
import { type TakenRun, VariablesRun } from './variables-run.ts';

export interface RunKeeperParts {
  layout: Layout;
  clock: Clock;
  log: Log;
  events: EventHub;
  settings(): Settings;
  flowerVersion(): string;
  control(): ControlApi;
  onlineNodes(): number;
  /** Takes in what the apps have told until now. */
  readJournal(): Promise<void>;
  /** Folder of the checkpoints; undefined where there are to be none. */
  checkpoints(): string | undefined;
  /** The app of the use case, with the run configuration of the variables. */
  useCase(): Promise<RunSource>;
  /** Hands an app to Flower; answers the run's id. `from` names a checkpoint, empty: a fresh start. */
  submit(app: string, source: RunSource, from: string): Promise<string>;
  /** Removes uploaded apps other than those that may be needed again. */
  keepUploads(needed: ReadonlySet<string>): Promise<void>;
  /** Removes the checkpoints of runs. */
  dropCheckpoints(runIds: readonly string[]): Promise<void>;
}

/** Follows the runs of a SuperLink and submits the one that the variables describe, once in the life of the VM. */
export class RunKeeper {
  readonly #parts: RunKeeperParts;
  readonly #ledger: RunLedger;
  readonly #histories: RunHistories;
  readonly #models: FinalModels;
  readonly #resumption: Resumption;
  readonly #variables: VariablesRun;
  readonly #unheardOf: UnheardOf;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #unlisten: () => void;

  private constructor(parts: RunKeeperParts, ledger: RunLedger) {
    this.#parts = parts;
    this.#ledger = ledger;
    this.#histories = new RunHistories(parts.layout, parts.log);
    this.#models = new FinalModels(parts, ledger);
    this.#unheardOf = new UnheardOf(ledger, parts.log);
    const catchUp = (runId: string) => void this.#catchUp(new Set([runId]));
    const leastNodes = () => parts.settings().FL_MIN_AVAILABLE_CLIENTS;
    this.#resumption = new Resumption({ ...parts, leastNodes, catchUp }, ledger);
    this.#variables = new VariablesRun({ ...parts, taken: (runId, facts) => this.add(runId, facts) }, ledger);
    this.#unlisten = parts.events.listen(event => this.#observe(event));
  }

  /** @throws OneFlowerError `state_write_failed` when the record of the runs cannot be read. */
  static async open(parts: RunKeeperParts): Promise<RunKeeper> {
    const ledger = await RunLedger.open(join(parts.layout.state, 'runs.json'), parts.log);
    const keeper = new RunKeeper(parts, ledger);
    if (keeper.#catchUp(new Set(ledger.runs.map(({ runId }) => runId)))) await ledger.save();
    await keeper.#tidy();
    return keeper;
  }

  /** Newest first. */
  list(): RunSummary[] {
    return this.#ledger.runs.map(summaryOf).reverse();
  }

  find(runId: string): RunSummary | undefined {
    const record = this.#ledger.find(runId);
    return record && summaryOf(record);
  }

  /** The run that is at work or about to go on, else the last one. */
  current(): RunSummary | undefined {
    const runs = this.list();
    return runs.find(run => run.endedAt === null) ?? runs.find(run => run.resumes) ?? runs[0];
  }

  isTraining(): boolean {
    return this.#ledger.runs.some(run => run.endedAt === null || run.resume !== 'none');
  }

  /** What stands between the service and its training, as a sentence; null when nothing does. */
  waitingFor(): string | null {
    const resumes = this.#resumption.waitingFor();
    if (resumes !== null) return resumes;
    const nodes = nodesMissing(this.#ledger.runs, this.#parts.onlineNodes());
    if (nodes !== null) return nodes;
    if (this.#ledger.state.fromVariables === 'submitted') return this.#lostRun();
    if (this.#parts.settings().FL_USE_CASE === 'none')
      return this.isTraining() ? null : 'FL_USE_CASE is none: a run has to be submitted.';
    return this.#variables.waitingFor();
  }

  /** Compares with Flower's list of runs and submits what is due. Called every few seconds; throws nothing. */
  tick(): Promise<void> {
    return this.inTurn(() => this.#look());
  }

  /** One at a time: a second one would take the first one's submission for interrupted. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  /** Remembers a run that was handed to Flower. */
  async add(runId: string, { app, by, source, from }: TakenRun): Promise<RunSummary> {
    const known = this.#ledger.find(runId);
    const record = known ?? this.#ledger.remember(runId, app, by);
    Object.assign(record, { app, submittedBy: by, source });
    if (from) beginAt(record, from.runId, from.round);
    this.#parts.events.emit('run_submitted', { run_id: runId, app, by });
    if (from && by === 'variables') {
      this.#parts.events.emit('run_resumed', { run_id: runId, continues: from.runId, round: from.round });
    }
    // A ServerApp can be quicker than the answer of the call that has submitted it.
    if (!known) this.#catchUp(new Set([runId]));
    await this.#ledger.save();
    return summaryOf(record);
  }

  /**
   * Lets a run that has ended go on.
   *
   * @throws OneFlowerError `run-unknown`, and what {@link Resumption.byHand} throws
   */
  resume(runId: string, round: number | undefined): Promise<RunSummary> {
    return this.inTurn(async () => summaryOf(await this.#resumption.byHand(this.#known(runId), round)));
  }

  /** Has an interrupted run not go on. @throws OneFlowerError `run-unknown`, and what {@link Resumption.drop} throws */
  dropResume(runId: string): Promise<void> {
    return this.inTurn(async () => this.#resumption.drop(this.#known(runId)));
  }

  /** What a run can be resumed from. It may be a run of an earlier VM. @throws OneFlowerError `run-unknown` */
  checkpoints(runId: string): Promise<Checkpoint[]> {
    return this.#resumption.checkpointsOf(runId);
  }

  /**
   * A sound checkpoint of a run, the last one unless a round is named. It may be a run of an earlier VM.
   *
   * @throws OneFlowerError `run-unknown`, `checkpoint-unknown`, `checkpoint-damaged`
   */
  async checkpoint(runId: string, round: number | undefined): Promise<Checkpoint> {
    return this.#resumption.choose(runId, round);
  }

  /** Settings and rounds of a run and of those that it continues. @throws OneFlowerError `run-unknown` */
  async history(runId: string): Promise<RunHistory> {
    const record = this.#known(runId);
    const rounds = await this.#histories.ofChain(this.#ledger.chain(record));
    return { run: summaryOf(record), settings: record.source?.settings ?? {}, rounds };
  }

  /** Until everything known is on disk. */
  async flushed(): Promise<void> {
    await this.#histories.flushed();
    await this.#ledger.flushed();
  }

  /** Hears no more events; what is known is on disk. */
  async close(): Promise<void> {
    this.#unlisten();
    await this.flushed();
  }

  async #look(): Promise<void> {
    const { control, log, readJournal } = this.#parts;
    try {
      const before = this.#ledger.runs.filter(({ endedAt }) => endedAt === null);
      const sayUnheardOf = this.#unheardOf.beforeList();
      const listedRuns = await control().listRuns();
      // A run that Flower lists as ended has told its last round before that.
      await readJournal();
      const runs = listedRuns.slice(0, mostRuns);
      await this.#variables.adoptInterrupted(runs);
      await this.#resumption.adoptInterrupted(runs);
      const news = runs.filter(({ runId }) => !this.#ledger.find(runId)).toReversed();
      for (const { runId, fabId } of news) this.#ledger.remember(runId, fabId, 'operator');
      this.#catchUp(new Set(news.map(({ runId }) => runId)));
      // Whoever waits for the end of a run finds its model then.
      for (const run of listedRuns) if (!this.#models.isKeeping(run.runId)) this.#compare(run);
      const listed = new Set(listedRuns.map(({ runId }) => runId));
      for (const record of before) if (record.endedAt === null && !listed.has(record.runId)) this.#endLost(record);
      this.#ledger.forgetOld(runs);
      if (news.length > 0) await this.#ledger.save();
      if (before.some(({ endedAt }) => endedAt !== null)) await this.#tidy();
      sayUnheardOf();
      await this.#variables.submitWhenDue();
      await this.#resumption.resumeWhenDue();
    } catch (error) {
      log.debug(`The runs cannot be read at present: ${messageOf(error)}`);
    }
  }

  #compare(run: FlowerRun): void {
    const record = this.#ledger.find(run.runId);
    if (!record || record.endedAt !== null) return;
    const status = run.status === 'finished' ? endOf(run.subStatus) : run.status;
    if (record.status !== status || (record.startedAt === null && run.runningAt !== '')) {
      const { fabId, details } = run;
      Object.assign(record, { status, details, fabId, startedAt: run.runningAt || record.startedAt });
      const end = { status: endOf(run.subStatus), details };
      if (run.status === 'finished') this.#end(record, judge(record, end, this.#mayResume()), run.finishedAt);
      void this.#ledger.save();
    }
  }

  /** Flower's database was replaced: a run that it does not know never ends by itself. */
  #endLost(record: RunRecord): void {
    const cause = 'Flower no longer knows it: its database (FL_DATABASE) was replaced or removed';
    this.#end(record, judgeFault(record, cause, this.#mayResume()), '');
    void this.#ledger.save();
  }

  #end(record: RunRecord, { status, details, resumes }: Ending, at: string): void {
    const endedAt = at || new Date(this.#parts.clock.now()).toISOString();
    Object.assign(record, { status, details, endedAt, resume: resumes ? 'due' : 'none' });
    const { runId, roundsDone } = record;
    const data = { run_id: runId, status, details, rounds_done: roundsDone, ...(resumes ? { resumes } : {}) };
    this.#parts.events.emit('run_ended', data);
  }

  #mayResume(): boolean {
    return this.#parts.checkpoints() !== undefined;
  }

  #lostRun(): string | null {
    const last = this.#ledger.runs.findLast(run => run.submittedBy === 'variables');
    return last?.status === 'failed' ? last.details : null;
  }

  /** Removes what belongs to runs that are over. */
  async #tidy(): Promise<void> {
    const { runs } = this.#ledger;
    await this.#parts.keepUploads(neededUploads(runs));
    await this.#parts.dropCheckpoints(superseded(runs));
    await this.#histories.keepOnly(new Set(runs.map(({ runId }) => runId)));
  }

  /** What the apps have told of these runs before they were known: while the agent was away, and since it started. */
  #catchUp(runIds: ReadonlySet<string>): boolean {
    let news = false;
    for (const told of this.#parts.events.kept()) {
      const runId = runOf(told);
      const record = runId !== undefined && runIds.has(runId) ? this.#ledger.find(runId) : undefined;
      if (!record) continue;
      news = applyEvent(record, told) || news;
      if (told.event === 'round_end') this.#histories.note(told.data as EventData<'round_end'>);
      if (told.event !== 'model_written') continue;
      const written = told.data as EventData<'model_written'>;
      if (this.#models.isWaiting(written)) void this.#models.keep(written);
    }
    return news;
  }

  /** Only of runs that Flower or an operator has named: an app may write what it likes. */
  #observe(told: NumberedEvent): void {
    const runId = runOf(told);
    if (runId === undefined) return;
    const record = this.#ledger.find(runId);
    if (!record) {
      if (told.event === 'training_start') this.#unheardOf.note(runId);
      return;
    }
    if (told.event === 'model_written') void this.#models.keep(told.data as EventData<'model_written'>);
    if (told.event === 'round_end') this.#histories.note(told.data as EventData<'round_end'>);
    if (applyEvent(record, told)) void this.#ledger.save();
  }

  #known(runId: string): RunRecord {
    const record = this.#ledger.find(runId);
    if (record) return record;
    throw unknownRun(runId);
  }
}
