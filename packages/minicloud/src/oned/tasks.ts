import type { Clock, Timer } from '@oneflower/contract';

/** Timers of one owner, which end with it. */
export class Tasks {
  readonly #clock: Clock;
  readonly #timers = new Set<Timer>();
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
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
