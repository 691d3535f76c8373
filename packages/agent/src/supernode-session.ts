import { type Clock, messageOf, type OneFlowerError, type StateResponse, sleep } from '@oneflower/contract';
import { failure } from './failure.ts';
import type { Log } from './log/log.ts';

/** More than the 60 s after which the SuperLink gives up on a node that says nothing. */
const longestMs = 90_000;
const pauseMs = 2000;
/** More than the 3 s that a ServerApp of Flower sleeps between two looks at its replies. */
const lookMs = 5000;

/** Flower of a node before it is started. */
export interface FormerSession {
  clock: Clock;
  log: Log;
  /** Whether an earlier Flower of this node may have ended without a word before the first start. */
  wasCutOff: boolean;
  /** Starts after the first: the Flower before has ended by itself. */
  restarts(): number;
  /** How the SuperLink sees the node. */
  ask(): Promise<Pick<StateResponse, 'online' | 'training'>>;
}

/**
 * Holds Flower back until the SuperLink has seen that the one before is dead. Messages that were handed to that one are
 * never answered by its successor; the ServerApp is told so only if it asks for the reply while the node is offline.
 *
 * Facts of Flower 1.41: a node is online for 60 s after its last heartbeat (2 x 30 s); until then its key is refused
 * (`LinkState.activate_node` takes registered and offline nodes only), so the next Flower can be online again in the
 * same second as the old session ends. The error reply for a lost node is made when the ServerApp pulls
 * (`check_node_availability_for_in_message`), never by itself. A Flower that ends in order is offline at once.
 *
 * Waits while the node is listed online, 90 s at most, and, when a run is going on, for one look of the ServerApp more.
 * Where the SuperLink cannot be asked nothing is waited for.
 *
 * @returns what the supervisor waits for before each start; rejects only with the reason of its signal.
 */
export function formerSessionEnded(session: FormerSession): (signal: AbortSignal) => Promise<void> {
  const { clock, log } = session;

  async function ask(): Promise<Pick<StateResponse, 'online' | 'training'>> {
    try {
      return await session.ask();
    } catch (error) {
      log.info(`Flower is started without knowing whether its old session is over: ${messageOf(error)}`);
      return { online: false, training: false };
    }
  }

  return async signal => {
    if (!session.wasCutOff && session.restarts() === 0) return;
    const until = clock.now() + longestMs;
    let seen = await ask();
    if (seen.online) {
      log.warning(
        `Flower has died on this node: the SuperLink refuses its key until the old session has timed out, about a minute. It is started when the SuperLink lists the node offline, after ${longestMs / 1000} s at the latest.`,
      );
    }
    while (seen.online && clock.now() < until) {
      await sleep(clock, pauseMs, signal);
      seen = await ask();
    }
    if (seen.online) log.warning('The SuperLink still lists this node online: Flower is started all the same.');
    else if (seen.training) await sleep(clock, lookMs, signal);
  };
}

/** What an operator reads of a node while its Flower is held back. */
export function heldBack(): OneFlowerError {
  const message = `Flower has died on this node. It is started when the SuperLink lists the node offline, after ${longestMs / 1000} s at the latest.`;
  return failure('node_not_online', message, {
    reason: 'The SuperLink takes a node for online until a minute after it has heard of it last.',
    remedy: 'Wait: Flower is started by itself.',
  });
}
