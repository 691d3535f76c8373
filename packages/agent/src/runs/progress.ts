import type { EventData } from '@oneflower/contract';
import type { NumberedEvent } from '../journal/event-hub.ts';
import type { RunRecord } from './store.ts';

/** Of which run an event tells; undefined when it tells of none. Flower's ids are numbers of 64 bits. */
export function runOf({ data }: Pick<NumberedEvent, 'data'>): string | undefined {
  const { run_id: runId } = data;
  return typeof runId === 'string' && /^\d{1,20}$/.test(runId) ? runId : undefined;
}

/** Takes in what an event says of a run; the same again changes nothing. Whether it said anything. */
export function applyEvent(record: RunRecord, { event, data }: Pick<NumberedEvent, 'event' | 'data'>): boolean {
  if (event === 'training_start') record.rounds = (data as EventData<'training_start'>).num_rounds;
  else if (event === 'waiting_for_nodes') record.nodesWanted = (data as EventData<'waiting_for_nodes'>).wanted;
  else if (event === 'round_start') {
    Object.assign(record, { round: (data as EventData<'round_start'>).round, nodesWanted: null });
  } else if (event === 'round_end') {
    const { round, metrics } = data as EventData<'round_end'>;
    Object.assign(record, { round, metrics, nodesWanted: null, roundsDone: Math.max(record.roundsDone, round) });
  } else if (event === 'checkpoint_saved') {
    record.checkpoint = Math.max(record.checkpoint ?? 0, (data as EventData<'checkpoint_saved'>).round);
  } else if (event === 'training_end') {
    record.trained = true;
    record.metrics = { ...record.metrics, ...(data as EventData<'training_end'>).metrics };
  } else if (event === 'model_saved') record.model = true;
  else return false;
  return true;
}

/** A run at work that stands still for want of nodes, as a sentence; null when there is none. */
export function nodesMissing(runs: readonly RunRecord[], online: number): string | null {
  // The app tells when it begins to wait and when a round begins, not that nodes have come within a round.
  const run = runs.find(({ endedAt, nodesWanted }) => endedAt === null && nodesWanted !== null && online < nodesWanted);
  return run ? `Run ${run.runId} waits for nodes: ${online} of ${run.nodesWanted} online.` : null;
}
