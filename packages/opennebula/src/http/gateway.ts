import { type Clock, sleep, systemClock } from '@oneflower/contract';
import { CloudFailure, type CloudServer } from '../failure.ts';
import { connectionTransport } from './connection.ts';
import { type Limiter, unlimited } from './limit.ts';
import { type HttpAnswer, type HttpRequest, type HttpTransport, TransportError } from './transport.ts';

/** How often, and how long apart, a call that may be repeated is tried. Delays double from the first to the longest. */
export interface RetryPolicy {
  /** All tries, the first included. */
  attempts: number;
  firstDelayMs: number;
  maxDelayMs: number;
}

/** What every client takes besides its address and login. All of it has a default. */
export interface ClientOptions {
  transport?: HttpTransport;
  clock?: Clock;
  /** Deadline of one request, in milliseconds. */
  timeoutMs?: number;
  retry?: RetryPolicy;
  /** Ends requests and waits of this client. */
  signal?: AbortSignal;
  /** A number from 0 to 1; spreads the retries of many machines. */
  random?: () => number;
}

export const DEFAULT_TIMEOUT_MS = 30_000;
export const DEFAULT_RETRY: RetryPolicy = { attempts: 4, firstDelayMs: 500, maxDelayMs: 5_000 };

/** One call: its name for errors, the request, and how an answer is read (which may throw a {@link CloudFailure}). */
export interface GatewayCall<Result> {
  name: string;
  /** A read: repeated after any transient failure. Everything else is repeated only when nothing was sent. */
  safe: boolean;
  request: Omit<HttpRequest, 'signal'>;
  read(answer: HttpAnswer): Result;
}

export type Gateway = <Result>(call: GatewayCall<Result>) => Promise<Result>;

/** Sends calls to one server with deadlines and retries; `limit` holds back single tries, not the waits in between. */
export function createGateway(server: CloudServer, options: ClientOptions, limit: Limiter = unlimited): Gateway {
  const { clock = systemClock, retry = DEFAULT_RETRY, random = Math.random, signal } = options;
  const { transport = connectionTransport(), timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const attempt = createAttempt({ server, clock, transport, timeoutMs, signal });
  return async call => {
    for (let tried = 1; ; tried++) {
      try {
        return await limit(() => attempt(call));
      } catch (error) {
        if (tried >= retry.attempts || !mayRepeat(error, call.safe)) throw error;
      }
      await sleep(clock, delayOf(retry, tried, random()), signal);
    }
  };
}

interface AttemptContext {
  server: CloudServer;
  clock: Clock;
  transport: HttpTransport;
  timeoutMs: number;
  signal: AbortSignal | undefined;
}

function createAttempt({ server, clock, transport, timeoutMs, signal }: AttemptContext): Gateway {
  return async call => {
    signal?.throwIfAborted();
    const deadline = new AbortController();
    const timer = clock.after(timeoutMs, () => deadline.abort());
    const ends = signal ? AbortSignal.any([signal, deadline.signal]) : deadline.signal;
    try {
      return call.read(await transport({ ...call.request, signal: ends }));
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (deadline.signal.aborted) {
        throw new CloudFailure({ server, call: call.name, kind: 'timeout', words: `no answer within ${timeoutMs} ms` });
      }
      if (!(error instanceof TransportError)) throw error;
      const kind = error.sent ? 'interrupted' : 'unreachable';
      throw new CloudFailure({ server, call: call.name, kind, words: error.message, cause: error });
    } finally {
      timer.cancel();
    }
  };
}

function mayRepeat(error: unknown, safe: boolean): boolean {
  if (!(error instanceof CloudFailure)) return false;
  return safe ? error.transient : error.kind === 'unreachable';
}

/** Between half and the whole of the doubled delay. */
function delayOf(retry: RetryPolicy, tried: number, random: number): number {
  const full = Math.min(retry.maxDelayMs, retry.firstDelayMs * 2 ** (tried - 1));
  return full * (0.5 + random / 2);
}
