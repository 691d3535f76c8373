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
  const { clock, notify, signal } = options;
  let after = options.after;
  let lostAt: number | undefined;
  let delay = firstDelayMs;
  let client: OperatorClient | undefined;
  try {
    for (;;) {
      signal?.throwIfAborted();
      try {
        client ??= await options.connect();
        const page = await client.events(after, lostAt === undefined ? waitSeconds : 0, signal);
        if (lostAt !== undefined) notify({ type: 'connection_restored' });
        lostAt = undefined;
        delay = firstDelayMs;
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
        if (lostAt === undefined) notify({ type: 'connection_lost', reason: messageOf(error) });
        lostAt ??= clock.now();
        if (clock.now() - lostAt >= patienceMs) throw error;
      }
      await sleep(clock, delay, signal);
      delay = Math.min(longestDelayMs, delay * 2);
    }
  } finally {
    await client?.close();
  }
}

/** Failures that pass by themselves while a SuperLink restarts. */
export function isPassing(error: unknown): boolean {
  if (!isOneFlowerError(error)) return false;
  if (['operator-unreachable', 'operator-untrusted', 'superlink-not-ready'].includes(error.code)) return true;
  if (error.code === 'operator-refused') return Number(error.details.status) >= 500;
  return /^(oned|oneflow)-(unreachable|interrupted|timeout|unauthenticated)$/.test(error.code);
}

/** An event of a page, or undefined when this version does not know it or its data are not what they must be. */
function readEvent({ event, timestamp, data }: EventPage['events'][number]): FlowerEvent | undefined {
  if (!Object.hasOwn(events, event)) return undefined;
  const parsed = events[event as EventName].data.safeParse(data);
  return parsed.success ? ({ event, timestamp, data: parsed.data } as FlowerEvent) : undefined;
}
