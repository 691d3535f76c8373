import { OneFlowerError } from '@oneflower/contract';
import type { Checkpoint } from './checkpoints.ts';
import type { ResumableRun, RunRecord } from './store.ts';

/** @throws OneFlowerError `run-not-resumable` */
export function assertResumable(record: RunRecord, round: number | undefined): asserts record is ResumableRun {
  const refusal = whyNotResumable(record, round);
  if (refusal) throw refusal;
}

/**
 * Why an operator cannot let a run go on, from its last checkpoint or that of a round; undefined when it is possible as
 * far as its record tells: its uploaded app or its checkpoints may be gone.
 */
export function whyNotResumable(record: RunRecord, round: number | undefined): OneFlowerError | undefined {
  const { runId, source, continuedBy } = record;
  const follow = 'Follow it with oneflower run watch.';
  if (record.endedAt === null) return notResumable(record, 'it has not ended', follow);
  if (record.resume !== 'none') return notResumable(record, 'it is about to go on by itself', follow);
  if (source === null)
    return notResumable(
      record,
      'it was not submitted through OneFlower',
      `Begin another run with its model by oneflower run submit NAME DIRECTORY --from ${runId}.`,
    );
  if (source.resumable === 'undeclared')
    return notResumable(
      record,
      'its app does not declare resume-from under [tool.flwr.app.config]',
      'Declare it, then submit the app again with oneflower run submit.',
    );
  if (continuedBy !== null && round === undefined)
    return notResumable(
      record,
      `run ${continuedBy} goes on in its place`,
      `Look at that one in oneflower run list, or go back in this one with --checkpoint ROUND (oneflower run checkpoints NAME ${runId}).`,
    );
  if (record.status === 'completed' && isLast(record, round))
    return notResumable(
      record,
      'it has done all of its rounds',
      `Train its model further with oneflower run submit NAME DIRECTORY --from ${runId} -c num-server-rounds=N, where N is above ${record.round}.`,
    );
  return undefined;
}

/** Whether no round is left after that of a checkpoint, the last one unless a round is named. */
function isLast({ rounds }: RunRecord, round: number | undefined): boolean {
  return round === undefined || (rounds !== null && round >= rounds);
}

export function notResumable({ runId }: RunRecord, why: string, remedy: string): OneFlowerError {
  return new OneFlowerError({
    code: 'run-not-resumable',
    message: `Run ${runId} is not resumed: ${why}.`,
    remedy,
    fault: 'user',
  });
}

/** Why an interrupted run cannot be kept from going on. */
export function notDropped({ runId, resume }: RunRecord): OneFlowerError {
  if (resume === 'none')
    return new OneFlowerError({ code: 'run-ended', message: `Run ${runId} has ended already.`, fault: 'user' });
  return new OneFlowerError({
    code: 'run-resuming',
    message: `Run ${runId} was just handed to Flower again, which has not said yet whether it has it.`,
    reason: 'Its process is being started again, or has too little CPU.',
    remedy: 'Look at oneflower run list in half a minute, and stop what is there then.',
  });
}

export function unknownRun(runId: string): OneFlowerError {
  return new OneFlowerError({
    code: 'run-unknown',
    message: `There is no run ${runId}.`,
    remedy: 'List them with oneflower run list.',
    fault: 'user',
  });
}

export function unknownCheckpoint(
  runId: string,
  round: number | undefined,
  all: readonly Pick<Checkpoint, 'round'>[],
): OneFlowerError {
  const rounds = all.map(checkpoint => checkpoint.round);
  return new OneFlowerError({
    code: 'checkpoint-unknown',
    message:
      round === undefined
        ? `Run ${runId} has no checkpoint that can be used.`
        : `Run ${runId} has no checkpoint of round ${round}.`,
    ...(rounds.length > 0 ? { reason: `There are those of the rounds ${rounds.join(', ')}.` } : {}),
    remedy: `See oneflower run checkpoints NAME ${runId}.`,
    fault: 'user',
  });
}
