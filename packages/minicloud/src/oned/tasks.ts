import type { Clock, Timer } from '@oneflower/contract';

/** Timers of one owner, which end with it. */
export class Tasks {
  readonly #clock: Clock;
  readonly #onError: (error: unknown) => void;
  readonly #timers = new Set<Timer>();
  #closed = false;

  constructor(clock: Clock, onError: (error: unknown) => void) {
    this.#clock = clock;
    this.#onError = onError;
  }

  /**
   * Runs `work` now; when it throws (the disk may be full), that is reported and it is run again every second until
   * it succeeds or the owner ends.
   */
  insist(work: () => void): void {
    if (this.#closed) return;
    try {
      work();
    } catch (error) {
      this.#onError(error);
      this.after(1000, () => this.insist(work));
    }
  }

  /** Runs `work` once after that many milliseconds, unless closed by then. */
  after(ms: number, work: () => void): void {
    if (this.#closed) return;
    const timer = this.#clock.after(ms, () => {
      this.#timers.delete(timer);
      if (!this.#closed) work();
    });
    this.#timers.add(timer);
  }

  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
  }

  get closed(): boolean {
    return this.#closed;
  }
}
