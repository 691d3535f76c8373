import {
  type Clock,
  type EventName,
  type EventPage,
  events,
  type FlowerEvent,
  isOneFlowerError,
  messageOf,
  sleep,
} from '@oneflower/contract';
import type { Notify } from '../notify.ts';
import type { OperatorClient } from './client.ts';
import { isChangedAuthority } from './known.ts';

/** An event of a service with its number. */
export interface NumberedEvent {
  seq: number;
  event: FlowerEvent;
}

export interface FollowOptions {
  /** Connects anew: after a loss the SuperLink may have another address or certificate. */
  connect(): Promise<OperatorClient>;
  clock: Clock;
  notify: Notify;
  /** Only events with a higher number. */
  after: number;
  signal?: AbortSignal | undefined;
}

/** Seconds for which the SuperLink holds an empty answer back. */
const waitSeconds = 20;
const firstDelayMs = 500;
const longestDelayMs = 10_000;
/** A SuperLink that stays away longer than this is given up. */
export const patienceMs = 300_000;

/**
 * The events of a service, in order and each once, for as long as they are asked for. Lost connections are made
 * again; what happened meanwhile is not missed, because the SuperLink keeps its events.
 * @throws OneFlowerError the last failure, when the SuperLink stays away for {@link patienceMs}.
 */
export async function* followEvents(options: FollowOptions): AsyncGenerator<NumberedEvent> {
  const { signal } = options;
  const absence = new Absence(options);
  let after = options.after;
  let client: OperatorClient | undefined;
  try {
    for (;;) {
      signal?.throwIfAborted();
      try {
        client ??= await options.connect();
        const page = await client.events(after, absence.lasts ? 0 : waitSeconds, signal);
        absence.end();
        // A SuperLink that was made anew counts from the start again.
        if (page.next < after) {
          after = 0;
          continue;
        }
        for (const raw of page.events) {
          after = Math.max(after, raw.seq);
          const event = readEvent(raw);
          if (event) yield { seq: raw.seq, event };
        }
        after = Math.max(after, page.next);
        continue;
      } catch (error) {
        signal?.throwIfAborted();
        await client?.close();
        client = undefined;
        if (!isPassing(error)) throw error;
        absence.goOn(error);
      }
      await absence.pause();
    }
  } finally {
    await client?.close();
  }
}

/**
 * The first that is asked of a SuperLink which may be away at the moment: asked again, as {@link followEvents} does,
 * until it answers. A cloud that does not answer is no SuperLink that is away, and is reported at once.
 * @throws OneFlowerError the last failure, when the SuperLink stays away for {@link patienceMs}.
 */
export async function askPatiently<Answer>(
  { connect, ...circumstances }: Omit<FollowOptions, 'after'>,
  ask: (operator: OperatorClient) => Promise<Answer>,
): Promise<Answer> {
  const { signal } = circumstances;
  const absence = new Absence(circumstances);
  for (;;) {
    signal?.throwIfAborted();
    let client: OperatorClient | undefined;
    try {
      client = await connect();
      const answer = await ask(client);
      absence.end();
      return answer;
    } catch (error) {
      signal?.throwIfAborted();
      if (!isPassing(error) || isOfCloud(error)) throw error;
      absence.goOn(error);
    } finally {
      await client?.close();
    }
    await absence.pause();
  }
}

/** The time for which a SuperLink does not answer, how that is told, and when it is asked again. */
class Absence {
  readonly #circumstances: Pick<FollowOptions, 'clock' | 'notify' | 'signal'>;
  #began: number | undefined;
  #delay = firstDelayMs;

  constructor(circumstances: Pick<FollowOptions, 'clock' | 'notify' | 'signal'>) {
    this.#circumstances = circumstances;
  }

  get lasts(): boolean {
    return this.#began !== undefined;
  }

  /** It begins, or goes on. @throws the error once {@link patienceMs} are over. */
  goOn(error: unknown): void {
    const { clock, notify } = this.#circumstances;
    if (this.#began === undefined) notify({ type: 'connection_lost', reason: messageOf(error) });
    this.#began ??= clock.now();
    if (clock.now() - this.#began >= patienceMs) throw error;
  }

  async pause(): Promise<void> {
    const { clock, signal } = this.#circumstances;
    await sleep(clock, this.#delay, signal);
    this.#delay = Math.min(longestDelayMs, this.#delay * 2);
  }

  end(): void {
    if (this.lasts) this.#circumstances.notify({ type: 'connection_restored' });
    this.#began = undefined;
    this.#delay = firstDelayMs;
  }
}

const ofCloud = /^(oned|oneflow)-(unreachable|interrupted|timeout|unauthenticated)$/;

function isOfCloud(error: unknown): boolean {
  return isOneFlowerError(error) && ofCloud.test(error.code);
}

/** Failures that pass by themselves while a SuperLink restarts. */
export function isPassing(error: unknown): boolean {
  if (!isOneFlowerError(error) || isChangedAuthority(error)) return false;
  if (['operator-unreachable', 'operator-untrusted', 'superlink-not-ready'].includes(error.code)) return true;
  if (error.code === 'operator-refused') return Number(error.details.status) >= 500;
  return isOfCloud(error);
}

/** An event of a page, or undefined when this version does not know it or its data are not what they must be. */
function readEvent({ event, timestamp, data }: EventPage['events'][number]): FlowerEvent | undefined {
  if (!Object.hasOwn(events, event)) return undefined;
  const parsed = events[event as EventName].data.safeParse(data);
  return parsed.success ? ({ event, timestamp, data: parsed.data } as FlowerEvent) : undefined;
}
