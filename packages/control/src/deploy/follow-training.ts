import type { Clock } from '@oneflower/contract';
import { OneFlowerError, type RunSummary, sleep } from '@oneflower/contract';
import type { Notify } from '../notify.ts';
import type { OperatorClient } from '../operator/client.ts';
import { followEvents } from '../operator/follow.ts';

/** How far a deployment is followed: until all VMs are ready, until training starts, or until the run has ended. */
export type FollowGoal = 'ready' | 'training' | 'end';

export interface TrainingFollowing {
  connect(): Promise<OperatorClient>;
  clock: Clock;
  notify: Notify;
  signal: AbortSignal;
  goal: FollowGoal;
}

const askAgainMs = 500;

/**
 * Tells the SuperLink's events, boot included, until the run that the variables describe has started or ended.
 * With the goal `ready` it goes on until the signal stops it. A run that was interrupted and goes on by itself is
 * followed into the run in its place.
 * @throws OneFlowerError `run-failed`.
 */
export async function followTraining(following: TrainingFollowing): Promise<RunSummary | null> {
  const { goal, notify } = following;
  for await (const numbered of followEvents({ ...following, after: 0 })) {
    notify({ type: 'flower_event', ...numbered });
    const { event } = numbered;
    const decides = event.event === 'run_ended' || (event.event === 'training_start' && goal === 'training');
    if (goal === 'ready' || !decides || (event.event === 'run_ended' && event.data.resumes === true)) continue;
    const run = await summaryOf(following, event.data.run_id);
    // An operator may have submitted a run of their own meanwhile.
    if (run?.submittedBy === 'operator') continue;
    if (event.event === 'run_ended' && run?.continuedBy) continue;
    if (event.event === 'training_start' || event.data.status === 'completed') return run;
    throw new OneFlowerError({
      code: 'run-failed',
      message: `The run ${event.data.run_id} has ${event.data.status === 'stopped' ? 'been stopped' : 'failed'} in round ${event.data.rounds_done + 1}.`,
      ...(event.data.details === '' ? {} : { reason: event.data.details }),
      remedy: 'oneflower run logs says what the app wrote.',
      details: { runId: event.data.run_id, status: event.data.status },
    });
  }
  return null;
}

async function summaryOf(following: TrainingFollowing, runId: string): Promise<RunSummary | null> {
  const operator = await following.connect();
  try {
    const run = (await operator.runs()).find(one => one.runId === runId);
    if (run) return run;
    await sleep(following.clock, askAgainMs, following.signal);
    return (await operator.runs()).find(one => one.runId === runId) ?? null;
  } finally {
    await operator.close();
  }
}
