import { join } from 'node:path';
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
import { loadRuns, type RunRecord, type RunState, saveRuns } from './store.ts';

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

/** Follows the runs of a SuperLink and submits the one that the variables describe, once in the life of the VM. */
export class RunKeeper {
  readonly #parts: RunKeeperParts;
  readonly #file: string;
  #state: RunState;
  #saving: Promise<void> = Promise.resolve();
  #refusal: string | undefined;
  #nextTry = 0;

  private constructor(parts: RunKeeperParts, file: string, state: RunState) {
    this.#parts = parts;
    this.#file = file;
    this.#state = state;
    parts.events.listen(event => this.#observe(event));
  }

  /** @throws OneFlowerError `state_write_failed` when the record of the runs cannot be read. */
  static async open(parts: RunKeeperParts): Promise<RunKeeper> {
    const file = join(parts.layout.state, 'runs.json');
    return new RunKeeper(parts, file, await loadRuns(file));
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
    if (FL_USE_CASE === 'none') return 'FL_USE_CASE is none: a run has to be submitted.';
    if (this.#refusal !== undefined) return this.#refusal;
    const online = this.#parts.onlineNodes();
    if (online < FL_MIN_AVAILABLE_CLIENTS) {
      return `${FL_MIN_AVAILABLE_CLIENTS} SuperNodes must be online before training starts; ${online} are.`;
    }
    return 'The run is about to be submitted.';
  }

  /** Compares with Flower's list of runs and submits what is due. Called every few seconds; throws nothing. */
  async tick(): Promise<void> {
    try {
      const runs = await this.#parts.control().listRuns();
      for (const run of runs) this.#compare(run);
      if (this.#state.fromVariables === 'submitting') this.#adoptInterrupted(runs);
      await this.#submitWhenDue();
    } catch (error) {
      this.#parts.log.debug(`The runs cannot be read at present: ${messageOf(error)}`);
    }
  }

  /** Remembers a run that was handed to Flower. */
  async add(runId: string, app: string, by: 'variables' | 'operator'): Promise<RunSummary> {
    const record = this.#record(runId) ?? this.#remember(runId, app, by);
    Object.assign(record, { app, submittedBy: by });
    this.#parts.events.emit('run_submitted', { run_id: runId, app, by });
    await this.#save();
    return summaryOf(record);
  }

  /** Until everything known is on disk. */
  async flushed(): Promise<void> {
    await this.#saving;
  }

  async #submitWhenDue(): Promise<void> {
    const { clock, settings, onlineNodes, submitUseCase, log } = this.#parts;
    const { FL_USE_CASE, FL_MIN_AVAILABLE_CLIENTS } = settings();
    if (this.#state.fromVariables !== 'none' || FL_USE_CASE === 'none') return;
    if (onlineNodes() < FL_MIN_AVAILABLE_CLIENTS || clock.now() < this.#nextTry) return;
    this.#state.fromVariables = 'submitting';
    await this.#save();
    try {
      const runId = await submitUseCase();
      this.#state.fromVariables = 'submitted';
      this.#refusal = undefined;
      await this.add(runId, FL_USE_CASE, 'variables');
    } catch (error) {
      this.#state.fromVariables = 'none';
      this.#nextTry = clock.now() + 30_000;
      await this.#save();
      const words = isOneFlowerError(error) ? error.explain() : messageOf(error);
      if (this.#refusal !== words) log.error(`The run of the variables cannot be submitted: ${words}`);
      this.#refusal = words;
    }
  }

  /** The agent died while it submitted: if Flower has a run that nobody recorded, that is it. */
  #adoptInterrupted(runs: readonly FlowerRun[]): void {
    const { FL_USE_CASE } = this.#parts.settings();
    // Newest first.
    const orphan = runs.find(run => run.fabId.endsWith(`/${FL_USE_CASE}`));
    this.#state.fromVariables = orphan ? 'submitted' : 'none';
    if (orphan) void this.add(orphan.runId, FL_USE_CASE, 'variables');
    else void this.#save();
  }

  #compare(run: FlowerRun): void {
    const record = this.#record(run.runId) ?? this.#remember(run.runId, run.fabId, 'operator');
    if (record.endedAt !== null) return;
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

  #lostRun(): string | null {
    const last = this.#state.runs.findLast(run => run.submittedBy === 'variables');
    return last?.status === 'failed' ? last.details : null;
  }

  #observe({ event, data }: NumberedEvent): void {
    const runId = typeof data.run_id === 'string' ? data.run_id : '';
    // A ServerApp can be quicker than the answer of the call that has submitted it.
    const isNew = event === 'training_start' && this.#record(runId) === undefined;
    const record = isNew ? this.#remember(runId, '', 'operator') : this.#record(runId);
    if (event === 'model_written') void this.#keepModel(data as EventData<'model_written'>);
    if (!record) return;
    if (event === 'training_start') record.rounds = (data as EventData<'training_start'>).num_rounds;
    if (event === 'round_start') record.round = (data as EventData<'round_start'>).round;
    if (event === 'round_end') {
      const { round, metrics } = data as EventData<'round_end'>;
      Object.assign(record, { round, metrics, roundsDone: Math.max(record.roundsDone, round) });
    }
    if (event === 'training_end')
      record.metrics = { ...record.metrics, ...(data as EventData<'training_end'>).metrics };
    if (['training_start', 'round_start', 'round_end', 'training_end'].includes(event)) void this.#save();
  }

  async #keepModel(written: EventData<'model_written'>): Promise<void> {
    const { layout, clock, events, log, flowerVersion } = this.#parts;
    const record = this.#record(written.run_id);
    const savedAt = new Date(clock.now()).toISOString();
    try {
      const about = { app: record?.app ?? '', flowerVersion: flowerVersion(), savedAt };
      const { runId, file, bytes, sha256 } = await keepModel(layout, written, about);
      if (record) record.model = true;
      events.emit('model_saved', { run_id: runId, file, bytes, sha256 });
      await this.#save();
    } catch (error) {
      log.error(isOneFlowerError(error) ? error.explain() : messageOf(error));
    }
  }

  #record(runId: string): RunRecord | undefined {
    return this.#state.runs.find(run => run.runId === runId);
  }

  #remember(runId: string, app: string, submittedBy: 'variables' | 'operator'): RunRecord {
    const record: RunRecord = {
      ...{ runId, app, submittedBy, status: 'pending', details: '', round: 0, rounds: null },
      ...{ startedAt: null, endedAt: null, metrics: {}, model: false, roundsDone: 0 },
    };
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

function endOf(subStatus: string): 'completed' | 'failed' | 'stopped' {
  return subStatus === 'completed' || subStatus === 'stopped' ? subStatus : 'failed';
}

/**
 * Flower ends a run whose ServerApp is gone with "No heartbeat received from the task.", and one whose ServerApp was
 * shut out after a restart of the SuperLink with "Task failed with unknown error." (both seen on 1.41).
 */
function explainFailure(details: string, { roundsDone, rounds }: RunRecord): string {
  if (!/no heartbeat|unknown error/i.test(details)) return details;
  const done = rounds === null ? 'the app does not tell its rounds' : `${roundsDone} of ${rounds} rounds were done`;
  return `The run was lost because its ServerApp ended without a word, as after a restart of the SuperLink; ${done}. Submit it again with oneflower run submit.`;
}
