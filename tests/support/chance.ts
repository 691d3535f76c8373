/** Random numbers that a seed decides. */
export interface Chance {
  /** A whole number from 0 to one below `limit`. */
  below(limit: number): number;
  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T;
}

/** A multiplicative generator modulo the prime 2^31 - 1, after Park and Miller 1988: even enough to pick moments. */
export function chanceOf(seed: number): Chance {
  let state = 1 + ((seed * 1_000_003) % 2_147_483_646);
  function below(limit: number): number {
    state = (state * 48_271) % 2_147_483_647;
    return Math.floor((state / 2_147_483_647) * limit);
  }
  function pick<T>(list: readonly T[]): T {
    const [found] = list.slice(below(list.length));
    if (found === undefined) throw new Error('There is nothing to pick from.');
    return found;
  }
  return { below, pick };
}
