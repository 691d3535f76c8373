import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type Clock, messageOf, type OneFlowerError, type StateResponse, sleep } from '@oneflower/contract';
import { failure } from './failure.ts';
import { writeFileAtomic } from './files.ts';
import type { Log } from './log/log.ts';
import { type ProcessState, type Supervisor, startFailed } from './supervision/supervisor.ts';

/** More than the 60 s after which the SuperLink gives up on a node that says nothing. */
const longestMs = 90_000;
const pauseMs = 2000;
/** More than the 3 s that a ServerApp of Flower sleeps between two looks at its replies. */
const lookMs = 5000;
/** Flower that is refused ends sooner. */
const steadyMs = 20_000;

/** How the SuperLink sees the node. */
type Seen = Pick<StateResponse, 'online' | 'training'>;

export interface SessionParts {
  clock: Clock;
  log: Log;
  supervisor: Supervisor;
  /** Name of Flower's process. */
  process: string;
  /** There while Flower may have a session with the SuperLink that was not ended in an orderly way. */
  file: string;
  /** Tells the SuperLink why Flower is held back, and hears how it sees the node. */
  ask(held: OneFlowerError | undefined): Promise<Seen>;
}

/** The session of a node's Flower with the SuperLink: it may outlive the Flower that began it. */
export class FlowerSession {
  readonly #parts: SessionParts;
  /** The SuperLink may still list the session of the Flower before. */
  #overlaps = false;

  constructor(parts: SessionParts) {
    this.#parts = parts;
  }

  /**
   * Notes on disk that a session begins.
   *
   * @returns what the supervisor waits for before each start of Flower.
   */
  async begin(): Promise<(signal: AbortSignal) => Promise<void>> {
    const { clock, log, file, ask } = this.#parts;
    const former = this.#state;
    const isMarked = existsSync(file);
    await writeFileAtomic(file, '', { mode: 0o600 });
    const isOver = formerSessionEnded({
      ...{ clock, log },
      // One that runs now is ended where this one takes its place.
      wasCutOff: () => (former ? !former.endedInOrder : isMarked),
      restarts: () => this.#state?.restarts ?? 0,
      ask: () => ask(this.held),
    });
    return async signal => {
      this.#overlaps = !(await isOver(signal));
    };
  }

  /** Stops Flower. One that has ended in order has told the SuperLink: its key is free. */
  async end(): Promise<void> {
    const state = this.#state;
    await this.#parts.supervisor.stop();
    if (state?.endedInOrder) await rm(this.#parts.file, { force: true });
  }

  /** Whether a node that is listed online is Flower as it runs now, not the one before. */
  get isOwn(): boolean {
    const state = this.#state;
    return state?.running === true && !(this.#overlaps && this.#isYoung(state));
  }

  /** Why Flower is held back, if it is. */
  get held(): OneFlowerError | undefined {
    const state = this.#state;
    if (!state?.held) return undefined;
    return heldBack(state.restarts > 0 ? startFailed(this.#parts.process, state) : undefined);
  }

  /** Why Flower does not run steadily at this moment: the SuperLink lists a node for a while after its Flower has died. */
  get trouble(): OneFlowerError | undefined {
    const state = this.#state;
    if (!state) return undefined;
    const isSteady = state.running && !(state.restarts > 0 && this.#isYoung(state));
    return isSteady ? undefined : (this.held ?? startFailed(this.#parts.process, state));
  }

  get #state(): ProcessState | undefined {
    return this.#parts.supervisor.state(this.#parts.process);
  }

  #isYoung({ startedAt }: ProcessState): boolean {
    return this.#parts.clock.now() - startedAt < steadyMs;
  }
}

/** Flower of a node before it is started. */
export interface FormerSession {
  clock: Clock;
  log: Log;
  /** Whether an earlier Flower of this node may have ended without a word before the first start. */
  wasCutOff(): boolean;
  /** Starts after the first: the Flower before has ended by itself. */
  restarts(): number;
  ask(): Promise<Seen>;
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
 * Waits while the node was listed online when the SuperLink last answered, 90 s at most, and, when a run is going on,
 * for one look of the ServerApp more. Where the SuperLink does not answer the first question nothing is waited for.
 *
 * @returns a function that waits before each start, and resolves with whether the former session is known to be over;
 * it rejects only with the reason of its signal.
 */
export function formerSessionEnded(session: FormerSession): (signal: AbortSignal) => Promise<boolean> {
  const { clock, log } = session;

  async function ask(signal: AbortSignal): Promise<Seen | undefined> {
    const seen = await session.ask().catch((error: unknown) => {
      log.debug(`Whether the former session of Flower is over cannot be asked: ${messageOf(error)}`);
      return undefined;
    });
    signal.throwIfAborted();
    return seen;
  }

  return async signal => {
    if (!session.wasCutOff() && session.restarts() === 0) return true;
    const until = clock.now() + longestMs;
    let seen = await ask(signal);
    if (!seen) {
      log.info('Flower is started without knowing whether its former session is over: the SuperLink does not answer.');
      return false;
    }
    if (seen.online) {
      log.info(
        `This node is listed online from an earlier session: the SuperLink refuses its key until that has timed out, about a minute. Flower is started when the node is listed offline, after ${longestMs / 1000} s at the latest.`,
      );
    }
    while (seen.online && clock.now() < until) {
      await sleep(clock, pauseMs, signal);
      seen = (await ask(signal)) ?? seen;
    }
    if (seen.online) log.warning('The SuperLink has not listed this node offline: Flower is started all the same.');
    else if (seen.training) await sleep(clock, lookMs, signal);
    return !seen.online;
  };
}

/** What an operator reads of a node while its Flower is held back: why the one before has ended, where that is known. */
function heldBack(cause: OneFlowerError | undefined): OneFlowerError {
  const message = 'Flower is held back until the SuperLink lists the node offline.';
  if (!cause) {
    return failure('node_not_online', message, {
      reason: 'The SuperLink takes a node for online until a minute after it has heard of it last.',
      remedy: 'Wait: Flower is started by itself.',
    });
  }
  const { reason = '', remedy = '' } = cause;
  return failure('flower_start_failed', `${cause.message}\n${message}`, { reason, remedy });
}
