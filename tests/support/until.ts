import { setTimeout as pause } from 'node:timers/promises';

const pauseMs = 50;

/**
 * Asks again and again until the answer is neither undefined nor false, which is what other processes do in real time.
 *
 * @throws Error that names `what` after `timeoutMs`.
 */
export async function until<T>(
  what: string,
  question: () => T | Promise<T>,
  timeoutMs = 60_000,
): Promise<Exclude<T, undefined | false>> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const answer = await question();
    if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
    if (performance.now() > end) throw new Error(`Not within ${timeoutMs / 1000} s: ${what}`);
    await pause(pauseMs);
  }
}
