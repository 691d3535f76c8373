import { type Clock, type EventData, type FailureCode, type OneFlowerError, sleep } from '@oneflower/contract';
import { asFailure, failure } from '../failure.ts';
import type { Log } from '../log/log.ts';
import type { BootStep } from './step.ts';
import type { UnderWay } from './under-way.ts';

export interface BootSurroundings {
  clock: Clock;
  log: Log;
  /** Says how a step ended. */
  stepEnded(event: EventData<'boot_step'>): void;
  /** A step that waits is past its deadline: the VM is not ready because of this. */
  overdue(error: OneFlowerError, step: string): void;
  /** What earlier boots have left unfinished: the same for all boots of a program. */
  underWay: UnderWay;
}

/** What another machine has decided is tried again, but there is no use in waiting before it is told. */
const refusals: ReadonlySet<string> = new Set<FailureCode>(['enrolment_refused']);

/** How a boot ended. */
export type BootOutcome = { ready: true } | { ready: false; step: string; error: OneFlowerError };

/**
 * Runs steps one after the other until all are done or a fatal one fails.
 *
 * @throws the signal's reason when it is aborted: that is no outcome. OneFlowerError `boot-step-hangs` when a step that
 * was cut off does not end.
 */
export async function runSteps<Machine>(
  steps: readonly BootStep<Machine>[],
  machine: Machine,
  surroundings: BootSurroundings,
  signal: AbortSignal,
): Promise<BootOutcome> {
  for (const step of steps) {
    const error = await runStep(step, machine, surroundings, signal);
    if (error && step.failure !== 'degraded') return { ready: false, step: step.name, error };
  }
  return { ready: true };
}

async function runStep<Machine>(
  step: BootStep<Machine>,
  machine: Machine,
  surroundings: BootSurroundings,
  signal: AbortSignal,
): Promise<OneFlowerError | undefined> {
  const { clock, log, underWay } = surroundings;
  const began = clock.now();
  const deadline = began + step.deadlineSeconds * 1000;
  const progress = { attempts: 0, said: new Set<string>(), overdue: false };
  for (;;) {
    signal.throwIfAborted();
    await underWay.settled(signal);
    progress.attempts++;
    const error = await attempt(step, machine, surroundings, deadline, signal);
    const passed = { step: step.name, seconds: (clock.now() - began) / 1000, attempts: progress.attempts };
    if (!error) {
      surroundings.stepEnded({ ...passed, outcome: 'done' });
      return undefined;
    }
    const pause = pauseAfter(step, progress.attempts);
    const late = clock.now() + pause >= deadline;
    const mayWait = step.failure === 'waits' && !step.needsAnotherBoot?.(machine, error);
    if (step.retry === 'never' || error.fault !== 'environment' || (late && !mayWait)) {
      log[step.failure === 'degraded' ? 'warning' : 'error'](error.explain());
      surroundings.stepEnded({ ...passed, outcome: step.failure === 'degraded' ? 'degraded' : 'failed' });
      return error;
    }
    sayOnce(error, step, progress.said, log);
    if ((late || refusals.has(error.code)) && !progress.overdue) {
      progress.overdue = true;
      surroundings.overdue(error, step.name);
    }
    await sleep(clock, pause, signal);
  }
}

/** One attempt, cut off at the step's deadline; a step that waits gets its whole time for each attempt. */
async function attempt<Machine>(
  step: BootStep<Machine>,
  machine: Machine,
  { clock, underWay }: BootSurroundings,
  deadline: number,
  signal: AbortSignal,
): Promise<OneFlowerError | undefined> {
  const cut = new AbortController();
  const time = step.failure === 'waits' ? step.deadlineSeconds * 1000 : Math.max(0, deadline - clock.now());
  const timer = clock.after(time, () => cut.abort(new Error(`it was not done after ${step.deadlineSeconds} s`)));
  const limit = AbortSignal.any([signal, cut.signal]);
  try {
    const running = step.run(machine, limit);
    await Promise.race([running, untilAborted(limit)]).catch((error: unknown) => {
      if (limit.aborted) underWay.add(step.name, running);
      throw error;
    });
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return cut.signal.aborted ? timedOut(step, cut.signal.reason) : asFailure(error, step.code);
  } finally {
    timer.cancel();
    cut.abort();
  }
}

/** Rejects with the signal's reason when it is aborted, or has been. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function timedOut(step: { name: string; code: FailureCode }, reason: Error): OneFlowerError {
  return failure(step.code, `The boot step ${step.name} failed: ${reason.message}.`);
}

function pauseAfter<Machine>(step: BootStep<Machine>, attempts: number): number {
  if (step.retry === 'never') return 0;
  return Math.min(step.retry.longestPauseMs, step.retry.firstPauseMs * 2 ** Math.min(attempts - 1, 30));
}

function sayOnce(error: OneFlowerError, step: { name: string }, said: Set<string>, log: Log): void {
  if (said.has(error.message)) return;
  said.add(error.message);
  log.warning(`${step.name}: ${error.explain()} Trying again.`);
}
