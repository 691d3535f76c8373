import { type Clock, isOneFlowerError, messageOf } from '@oneflower/contract';
import type { FlowerRun } from '../flower-control/types.ts';
import type { EventHub } from '../journal/event-hub.ts';
import type { Log } from '../log/log.ts';
import { type Checkpoint, readCheckpoints, verifyCheckpoint } from './checkpoints.ts';
import { continuedWords, stalledAfter } from './endings.ts';
import type { RunLedger } from './ledger.ts';
import { assertResumable, notDropped, notResumable, unknownCheckpoint, unknownRun } from './refusals.ts';
import { beginAt, type ResumableRun, type RunRecord, type RunSource } from './store.ts';

export interface ResumptionParts {
  clock: Clock;
  log: Log;
  events: EventHub;
  onlineNodes(): number;
  /** Nodes that must be online where the app does not say it. */
  leastNodes(): number;
  /** Folder of the checkpoints; undefined where there are to be none. */
  checkpoints(): string | undefined;
  /** Hands an app to Flower; answers the run's id. @throws OneFlowerError `app-gone`, `run-refused` */
  submit(app: string, source: RunSource, from: string): Promise<string>;
  /** Takes in what apps have told of a run before it was known. */
  catchUp(runId: string): void;
}

const againMs = 30_000;

/** Lets runs that were interrupted go on: the same app, the same configuration, from the last good checkpoint. */
export class Resumption {
  readonly #parts: ResumptionParts;
  readonly #ledger: RunLedger;
  #nextTry = 0;
  #refusal: string | undefined;

  constructor(parts: ResumptionParts, ledger: RunLedger) {
    this.#parts = parts;
    this.#ledger = ledger;
  }

  /** What an interrupted run waits for, as a sentence; null when there is none. */
  waitingFor(): string | null {
    const record = this.#due();
    if (!record) return null;
    if (this.#refusal !== undefined) return this.#refusal;
    const [least, online] = [this.#leastNodes(record), this.#parts.onlineNodes()];
    if (online >= least) return `Run ${record.runId} was interrupted and is about to go on.`;
    return `Run ${record.runId} was interrupted and goes on once ${least} SuperNodes are online; ${online} are.`;
  }

  async resumeWhenDue(): Promise<void> {
    const { clock, onlineNodes, log } = this.#parts;
    const record = this.#due();
    if (record?.resume !== 'due' || clock.now() < this.#nextTry) return;
    if (onlineNodes() < this.#leastNodes(record)) return;
    try {
      await this.#resume(record, await this.#lastGood(record.runId));
      this.#refusal = undefined;
    } catch (error) {
      const words = isOneFlowerError(error) ? error.explain() : messageOf(error);
      if (isOneFlowerError(error) && error.code === 'app-gone') return this.#giveUp(record, words);
      // Flower may have it all the same: the next look at its list tells before anything is submitted again.
      this.#nextTry = clock.now() + againMs;
      await this.#ledger.save();
      if (this.#refusal !== words) log.error(`Run ${record.runId} cannot go on at present: ${words}`);
      this.#refusal = words;
    }
  }

  /**
   * Lets a run that has ended go on, on an operator's word.
   *
   * @throws OneFlowerError `run-not-resumable`, `checkpoint-unknown`, `checkpoint-damaged`, `app-gone`, `run-refused`
   */
  async byHand(record: RunRecord, round: number | undefined): Promise<RunRecord> {
    assertResumable(record, round);
    if (this.#ledger.runs.some(({ resume }) => resume === 'submitting'))
      throw notResumable(record, 'another one is just being resumed', 'Try again in a few seconds.');
    const checkpoint = round === undefined ? await this.#lastGood(record.runId) : await this.#find(record.runId, round);
    record.resumeByHand = true;
    return this.#resume(record, checkpoint);
  }

  /** An operator does not want an interrupted run to go on. @throws OneFlowerError `run-ended`, `run-resuming` */
  async drop(record: RunRecord): Promise<void> {
    if (record.resume !== 'due') throw notDropped(record);
    await this.#endFor(record, 'stopped', `${record.details} It was stopped before that.`);
  }

  /**
   * A sound checkpoint of a run, the last one unless a round is named. Of a run of an earlier VM the disk has them.
   *
   * @throws OneFlowerError `run-unknown`, `checkpoint-unknown`, `checkpoint-damaged`
   */
  async choose(runId: string, round: number | undefined): Promise<Checkpoint> {
    if (round !== undefined) return this.#find(runId, round);
    const checkpoint = await this.#lastGood(runId);
    if (!checkpoint) throw unknownCheckpoint(runId, undefined, []);
    return checkpoint;
  }

  /**
   * All checkpoints that belong to a run, first round first. Of a run of an earlier VM the disk has them.
   *
   * @throws OneFlowerError `run-unknown`
   */
  async checkpointsOf(runId: string): Promise<Checkpoint[]> {
    const folder = this.#parts.checkpoints();
    const found = folder === undefined ? [] : await this.#read(folder, runId);
    if (found.length === 0 && !this.#ledger.find(runId)) throw unknownRun(runId);
    return found;
  }

  /** Of a round that several runs of a chain have, that of the latest run. */
  async #read(folder: string, runId: string): Promise<Checkpoint[]> {
    const rounds = new Map<number, Checkpoint>();
    let most = Number.POSITIVE_INFINITY;
    for (const [place, resumedFrom] of this.#places(runId)) {
      for (const checkpoint of await readCheckpoints(folder, place)) {
        if (checkpoint.round <= most && !rounds.has(checkpoint.round)) rounds.set(checkpoint.round, checkpoint);
      }
      // Of a run that was gone back in, what came after that round belongs to another training.
      most = Math.min(most, resumedFrom ?? -1);
    }
    return [...rounds.values()].sort((a, b) => a.round - b.round);
  }

  /** A resumption had no good end: if Flower has a run of the app that was not there before, that is it. */
  async adoptInterrupted(runs: readonly FlowerRun[]): Promise<void> {
    const record = this.#ledger.runs.find(({ resume }) => resume === 'submitting');
    if (!record) return;
    const known = new Set(this.#ledger.state.resumedBefore);
    const adopted = runs.find(
      ({ runId, fabId }) => fabId === record.fabId && !known.has(runId) && !this.#ledger.find(runId)?.app,
    );
    if (adopted) await this.#link(record, adopted.runId);
    else {
      Object.assign(record, { resume: record.resumeByHand ? 'none' : 'due', resumeByHand: false });
      await this.#ledger.save();
    }
  }

  async #find(runId: string, round: number): Promise<Checkpoint> {
    const all = await this.checkpointsOf(runId);
    const found = all.find(checkpoint => checkpoint.round === round);
    const folder = this.#parts.checkpoints();
    if (!found || folder === undefined) throw unknownCheckpoint(runId, round, all);
    await verifyCheckpoint(folder, found);
    return found;
  }

  #due(): ResumableRun | undefined {
    return this.#ledger.runs.find(isDue);
  }

  #leastNodes({ source }: RunRecord): number {
    return source?.leastNodes ?? this.#parts.leastNodes();
  }

  async #resume(record: ResumableRun, checkpoint: Checkpoint | undefined): Promise<RunRecord> {
    if (!checkpoint && record.checkpoint !== null) this.#parts.log.warning(noneLeft(record));
    const { state } = this.#ledger;
    record.resume = 'submitting';
    record.resumeRound = checkpoint?.round ?? 0;
    state.resumedBefore = state.runs.map(({ runId }) => runId);
    try {
      // Not on disk, it would be submitted twice after a crash.
      await this.#ledger.saveNow();
      const from = checkpoint ? `${checkpoint.runId}/${checkpoint.file}` : '';
      const runId = await this.#parts.submit(record.app, record.source, from);
      return await this.#link(record, runId);
    } catch (error) {
      if (isOneFlowerError(error) && error.code === 'app-gone')
        Object.assign(record, { resume: 'none', resumeByHand: false });
      throw error;
    }
  }

  async #link(record: RunRecord, runId: string): Promise<RunRecord> {
    const { resumeRound: round, app, submittedBy, source } = record;
    const known = this.#ledger.find(runId);
    const next = known ?? this.#ledger.remember(runId, app, submittedBy);
    // Whoever lets it go on by hand has seen to what stalled it.
    const stalledBefore = record.resumeByHand ? 0 : record.stalled;
    const stalled = record.status === 'failed' ? stalledAfter({ ...record, stalled: stalledBefore }) : 0;
    Object.assign(next, {
      app,
      submittedBy,
      source,
      fabId: record.fabId,
      rounds: next.rounds ?? record.rounds,
      stalled,
    });
    beginAt(next, record.runId, round);
    const details = record.status === 'failed' ? continuedWords(record, round, runId) : record.details;
    Object.assign(record, { resume: 'none', resumeByHand: false, continuedBy: runId, details });
    if (!known) this.#parts.catchUp(runId);
    // Before it is on disk: told twice after a crash it does no harm, and whoever follows the run waits for it.
    this.#parts.events.emit('run_resumed', { run_id: runId, continues: record.runId, round });
    await this.#ledger.save();
    return next;
  }

  #giveUp(record: RunRecord, words: string): Promise<void> {
    this.#parts.log.error(words);
    return this.#endFor(record, 'failed', words);
  }

  /** Whoever follows the run waits for another one in its place. */
  async #endFor(record: RunRecord, status: 'failed' | 'stopped', details: string): Promise<void> {
    Object.assign(record, { resume: 'none', status, details });
    await this.#ledger.save();
    const { runId, roundsDone } = record;
    this.#parts.events.emit('run_ended', { run_id: runId, status, details, rounds_done: roundsDone });
  }

  async #lastGood(runId: string): Promise<Checkpoint | undefined> {
    const all = await this.checkpointsOf(runId);
    const folder = this.#parts.checkpoints();
    if (folder === undefined) return undefined;
    for (const checkpoint of all.toReversed()) {
      try {
        await verifyCheckpoint(folder, checkpoint);
        return checkpoint;
      } catch (error) {
        this.#parts.log.warning(isOneFlowerError(error) ? error.message : messageOf(error));
      }
    }
    return undefined;
  }

  /** Runs whose folders hold a run's checkpoints, each with the round that it began with. */
  #places(runId: string): [string, number | null][] {
    const record = this.#ledger.find(runId);
    if (!record) return [[runId, null]];
    const chain = this.#ledger.chain(record);
    const places = chain.map((run): [string, number | null] => [run.runId, run.resumedFrom]);
    // A run of an earlier VM is known by its checkpoints only.
    const before = chain.at(-1)?.continues;
    return before ? [...places, [before, null]] : places;
  }
}

/** Interrupted, and to go on by itself: no run is that without what it takes to submit its app once more. */
function isDue(record: RunRecord): record is ResumableRun {
  return record.resume !== 'none' && record.source !== null;
}

/** A disk that was not mounted looks like one on which nothing was ever saved. */
function noneLeft({ runId, checkpoint }: RunRecord): string {
  return `Run ${runId} had a checkpoint of round ${checkpoint}, and none that is sound is found now: it starts over. See whether the disk of FL_CHECKPOINT_PATH is mounted, and FL_CHECKPOINT_ENABLED still YES.`;
}
