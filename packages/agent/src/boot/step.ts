import type { FailureCode, OneFlowerError } from '@oneflower/contract';

/** How a step that has failed is tried again: the first pause, doubled each time up to the longest. */
export interface RetryPolicy {
  firstPauseMs: number;
  longestPauseMs: number;
}

/** A named step of a boot. Running it again must be harmless: it brings about a state and changes only what differs. */
export interface BootStep<Machine> {
  name: string;
  /** What it does, in one sentence. */
  does: string;
  /** Time for all its attempts together. */
  deadlineSeconds: number;
  /** `never`: the first failure is the step's. */
  retry: RetryPolicy | 'never';
  /**
   * What its failure means. `fatal`: the boot ends. `degraded`: it goes on. `waits`: the failure is published after
   * the deadline (what another machine refuses at once), and the step is tried for ever.
   */
  failure: 'fatal' | 'degraded' | 'waits';
  /**
   * Of a step that waits: whether a failure past the deadline ends the boot, because what an earlier step has found may
   * be outdated and only another boot looks for it anew.
   */
  needsAnotherBoot?(machine: Machine, error: OneFlowerError): boolean;
  /** FL_ERROR where the error itself names none. */
  code: FailureCode;
  /** One attempt. `signal` ends it when the step's time or the boot is over. */
  run(machine: Machine, signal: AbortSignal): Promise<void>;
}

export const seconds = 1000;

/** For what is there in a moment: a port that is about to be freed, a process that starts. */
export const quickly: RetryPolicy = { firstPauseMs: 0.25 * seconds, longestPauseMs: 2 * seconds };

/** For what another machine has to do first. */
export const patiently: RetryPolicy = { firstPauseMs: 1 * seconds, longestPauseMs: 15 * seconds };
