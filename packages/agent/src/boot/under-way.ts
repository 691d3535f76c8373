import { type Clock, OneFlowerError, sleep } from '@oneflower/contract';

/** Longer than any call over the network that a step makes: enrolling twice takes 40 s at most. */
const patienceMs = 60_000;

/**
 * Attempts at steps that were cut off and may go on all the same: a step need not heed its signal. Two at once would
 * get in each other's way (two CAs made by one first boot), so the next one waits for them.
 */
export class UnderWay {
  readonly #clock: Clock;
  readonly #attempts = new Map<Promise<unknown>, { step: string; cutAt: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Remembers an attempt that was cut off, until it has settled. */
  add(step: string, attempt: Promise<unknown>): void {
    this.#attempts.set(attempt, { step, cutAt: this.#clock.now() });
    const forget = () => void this.#attempts.delete(attempt);
    attempt.then(forget, forget);
  }

  /**
   * Waits until none goes on.
   *
   * @throws OneFlowerError `boot-step-hangs` when one does a minute after it was cut off; the signal's reason.
   */
  async settled(signal: AbortSignal): Promise<void> {
    for (let next = this.#first(); next; next = this.#first()) {
      const { attempt, step, cutAt } = next;
      const left = cutAt + patienceMs - this.#clock.now();
      if (left <= 0) throw hangs(step);
      const enough = new AbortController();
      const settled = attempt.then(
        () => undefined,
        () => undefined,
      );
      const time = sleep(this.#clock, left, AbortSignal.any([signal, enough.signal]));
      await Promise.race([settled, time]).finally(() => enough.abort());
    }
  }

  #first(): { attempt: Promise<unknown>; step: string; cutAt: number } | undefined {
    const [first] = this.#attempts;
    return first && { attempt: first[0], ...first[1] };
  }
}

/** Whether an error says that a step of the boot cannot be ended: only ending the program ends it. */
export function isHanging(error: unknown): boolean {
  return error instanceof OneFlowerError && error.code === 'boot-step-hangs';
}

function hangs(step: string): OneFlowerError {
  return new OneFlowerError({
    code: 'boot-step-hangs',
    message: `The boot step ${step} was to end and still goes on after ${patienceMs / 1000} s.`,
    reason: 'It waits for a disk or a server that does not answer.',
    remedy: 'The agent ends; it begins afresh when it is started again, which the VM does by itself.',
  });
}
