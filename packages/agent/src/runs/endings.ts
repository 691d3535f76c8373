import type { RunRecord } from './store.ts';

/** So often a run is resumed in a row without a new checkpoint. */
export const mostStalled = 5;

/** How a run has ended, and whether it goes on by itself. */
export interface Ending {
  status: 'completed' | 'failed' | 'stopped';
  details: string;
  resumes: boolean;
}

/** How a run that is over has ended, by Flower's word. */
export function endOf(subStatus: string): Ending['status'] {
  return subStatus === 'completed' || subStatus === 'stopped' ? subStatus : 'failed';
}

/**
 * Whether a failed run was ended by something else than its app. Flower 1.41 says "No heartbeat received from the
 * task" when the ServerApp is gone, "Task failed with unknown error." when it was ended by a signal or shut out after a
 * restart of the SuperLink, and "ServerApp failed with exception: ..." for what the app raised, which is a fault only
 * where it was Flower's own Runtime API that did not answer.
 */
export function isFault(details: string): boolean {
  if (/^ServerApp failed with exception:/.test(details)) return details.includes('/v1/runtime/');
  return /no heartbeat|unknown error/i.test(details);
}

/** Resumes in a row without a new checkpoint, counted with the one that would follow now. */
export function stalledAfter({ checkpoint, resumedFrom, stalled }: RunRecord): number {
  return (checkpoint ?? 0) > (resumedFrom ?? 0) ? 0 : stalled + 1;
}

/** What becomes of a run that Flower, or its absence from Flower's list, says is over. */
export function judge(record: RunRecord, end: Pick<Ending, 'status' | 'details'>, enabled: boolean): Ending {
  if (end.status !== 'failed' || !isFault(end.details)) return { ...end, resumes: false };
  return judgeFault(record, 'its ServerApp ended without a word, as after a restart of the SuperLink', enabled);
}

/** @param cause worded to follow "because". */
export function judgeFault(record: RunRecord, cause: string, enabled: boolean): Ending {
  if (record.trained) {
    const details = `All rounds were done; Flower counts the run as failed because ${cause}.`;
    return { status: 'completed', details, resumes: false };
  }
  const why = whyNot(record, enabled);
  if (why === undefined) return { status: 'failed', details: interrupted(record, cause), resumes: true };
  return {
    status: 'failed',
    details: `The run was lost because ${cause}; ${progress(record)}. ${why}`,
    resumes: false,
  };
}

/** Why a run that was interrupted does not go on by itself, and what to do; undefined when it does. */
function whyNot(record: RunRecord, enabled: boolean): string | undefined {
  const again = 'Submit it again with oneflower run submit.';
  const { source } = record;
  if (source === null) return `It is not resumed, as it was not submitted through OneFlower. ${again}`;
  if (!enabled || source.resumable === 'off')
    return `It is not resumed, as checkpoints are switched off (FL_CHECKPOINT_ENABLED, checkpoint-enabled). ${again}`;
  if (source.resumable === 'undeclared')
    return `It is not resumed, as the pyproject.toml of its app does not declare resume-from under [tool.flwr.app.config], and Flower refuses keys that are not declared. ${again}`;
  if (stalledAfter(record) > mostStalled)
    return `It is not resumed any more: it was interrupted ${mostStalled + 1} times in a row without a new checkpoint. Its ServerApp may be killed for want of memory, or a round takes longer than the SuperLink lives: see oneflower run logs, give the VM more memory or lower FL_CHECKPOINT_INTERVAL, then oneflower run resume.`;
  return undefined;
}

function interrupted(record: RunRecord, cause: string): string {
  const next = record.checkpoint === null ? 'It starts over: it had no checkpoint yet' : goesOn(record.checkpoint);
  return `Interrupted${inRound(record)} because ${cause}. ${next}.`;
}

/** What is said of an interrupted run once the next one is at work; `round` is 0 after a fresh start. */
export function continuedWords(record: RunRecord, round: number, runId: string): string {
  const from = round === 0 ? 'starts over' : `goes on from round ${round}`;
  return `Interrupted${inRound(record)}; ${from} as run ${runId}.`;
}

function inRound({ round, rounds, roundsDone }: RunRecord): string {
  if (rounds === null) return '';
  return ` in round ${Math.max(1, Math.min(Math.max(round, roundsDone + 1), rounds))} of ${rounds}`;
}

function goesOn(round: number): string {
  return `It goes on from the checkpoint of round ${round}`;
}

function progress({ roundsDone, rounds }: RunRecord): string {
  return rounds === null ? 'the app does not tell its rounds' : `${roundsDone} of ${rounds} rounds were done`;
}
