import type { Clock, StateResponse } from '@oneflower/contract';

/** Longer than Flower pauses between two attempts (20 s in 1.41) and than it takes to be let in with a used key. */
const patienceMs = 90_000;

/** Flower as it is watched here. */
export interface WatchedFlower {
  /** When it was started; undefined while it is not supervised. */
  startedAt(): number | undefined;
  startAnew(): Promise<void>;
}

/**
 * Starts a SuperNode's Flower anew that runs but will not come back. One that has given up on its SuperLink
 * (`--max-retries`, `--max-wait-time`) does not end: in 1.41 the server for its apps keeps the process alive. Only its
 * staying away while the SuperLink answers tells.
 *
 * @returns a function that takes in each answer of the SuperLink, and passes it on.
 */
export function createStuckCheck(
  clock: Clock,
  flower: WatchedFlower,
): (answer: Promise<StateResponse>) => Promise<StateResponse> {
  let awaySince: number | undefined;

  return async answer => {
    const known = awaySince;
    awaySince = undefined;
    const state = await answer;
    if (state.online) return state;
    awaySince = known ?? clock.now();
    const startedAt = flower.startedAt();
    if (startedAt !== undefined && clock.now() - Math.max(awaySince, startedAt) >= patienceMs) await flower.startAnew();
    return state;
  };
}
