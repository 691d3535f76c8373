/** A running timer; `cancel` is idempotent. */
export interface Timer {
  cancel(): void;
}

/**
 * Time as everything in OneFlower sees it. Handed in, never global, so that a test can run the 90 s
 * autoscaler or a late SuperLink in milliseconds.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Calls `run` once after `ms` milliseconds. */
  after(ms: number, run: () => void): Timer;
}

/** The machine's own time. Timers do not keep the process alive by themselves when `unref` is asked for. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    const handle = setTimeout(run, ms);
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Waits `ms` milliseconds of `clock`; rejects with the signal's reason when it is aborted first. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const timer = clock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    function onAbort(): void {
      timer.cancel();
      reject(signal?.reason);
    }
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

interface PendingTimer {
  at: number;
  order: number;
  run: () => void;
}

/** A clock for tests: time stands still until `advance` moves it, and runs what falls due in order. */
export class FakeClock implements Clock {
  #now: number;
  #order = 0;
  #pending: PendingTimer[] = [];

  constructor(start = Date.UTC(2026, 0, 1)) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): Timer {
    const timer = { at: this.#now + Math.max(0, ms), order: this.#order++, run };
    this.#pending.push(timer);
    return {
      cancel: () => {
        this.#pending = this.#pending.filter(other => other !== timer);
      },
    };
  }

  /** How many timers wait. */
  get waiting(): number {
    return this.#pending.length;
  }

  /** Moves time on by `ms`; promises that depend on a fired timer settle before the next one fires. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    for (;;) {
      const due = this.#pending.filter(timer => timer.at <= end).sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (!due) break;
      this.#pending = this.#pending.filter(timer => timer !== due);
      this.#now = Math.max(this.#now, due.at);
      due.run();
      await settle();
    }
    this.#now = end;
  }
}

function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
