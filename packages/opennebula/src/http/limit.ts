/** Runs a task when there is room for it. */
export type Limiter = <Result>(task: () => Promise<Result>) => Promise<Result>;

export function unlimited<Result>(task: () => Promise<Result>): Promise<Result> {
  return task();
}

/** Runs at most `max` tasks at a time, the others in the order of their coming. */
export function createLimiter(max: number): Limiter {
  let running = 0;
  const waiting: (() => void)[] = [];
  async function enter(): Promise<void> {
    if (running < max) {
      running++;
      return;
    }
    await new Promise<void>(resolve => waiting.push(resolve));
  }
  function leave(): void {
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
  return async task => {
    await enter();
    try {
      return await task();
    } finally {
      leave();
    }
  };
}
