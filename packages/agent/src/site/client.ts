import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import {
  ApiError,
  EnrolResponse,
  failures,
  messageOf,
  OneFlowerError,
  StateResponse,
  sitePaths,
} from '@oneflower/contract';
import * as z from 'zod';
import type { HostPort } from '../gate/index.ts';
import type { SiteClient } from './types.ts';

export interface SiteClientOptions {
  endpoint: HostPort;
  /** The SuperLink's CA, and the only one that is trusted; absent: plain HTTP. */
  caPem?: string | undefined;
  /** Absent: the node cannot enrol, only tell its state. */
  joinToken?: string | undefined;
  /** For one call, milliseconds. */
  timeoutMs?: number | undefined;
}

const largestAnswer = 64 * 1024;

interface Link extends HostPort {
  agent: http.Agent | https.Agent;
  secure: boolean;
  timeoutMs: number;
}

/** A SuperNode's side of enrolment. */
export function createSiteClient({ endpoint, caPem, joinToken, timeoutMs = 20_000 }: SiteClientOptions): SiteClient {
  const pool = { keepAlive: true, timeout: 60_000 };
  const tls = { ca: caPem, minVersion: 'TLSv1.2' as const };
  const agent = caPem === undefined ? new http.Agent(pool) : new https.Agent({ ...pool, ...tls });
  const link: Link = { ...endpoint, agent, secure: caPem !== undefined, timeoutMs };
  return {
    enrol: request => post(link, sitePaths.enrol, joinToken ?? '', request, EnrolResponse),
    state: (nodeToken, request) => post(link, sitePaths.state, nodeToken, request, StateResponse),
    async leave(nodeToken) {
      await post(link, sitePaths.leave, nodeToken, {}, z.object({}));
    },
    close: async () => agent.destroy(),
  };
}

async function post<T>(link: Link, path: string, token: string, body: unknown, shape: z.ZodType<T>): Promise<T> {
  let status: number;
  let answer: unknown;
  try {
    const response = await send(link, path, token, JSON.stringify(body));
    status = response.statusCode ?? 0;
    answer = JSON.parse(await readText(response));
  } catch (error) {
    throw unreachable(link, error);
  }
  const refusal = ApiError.safeParse(answer);
  if (status >= 500 || (status !== 200 && !refusal.success)) {
    throw unreachable(link, new Error(refusal.data?.error.message ?? `HTTP status ${status}`));
  }
  if (refusal.success) throw refused(refusal.data);
  const parsed = shape.safeParse(answer);
  if (!parsed.success) throw unreachable(link, new Error('the answer is not that of a SuperLink of OneFlower'));
  return parsed.data;
}

async function send({ host, port, agent, secure, timeoutMs }: Link, path: string, token: string, body: string) {
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  };
  const options = { host, port, path, method: 'POST', agent, headers, signal: AbortSignal.timeout(timeoutMs) };
  const request = secure ? https.request(options) : http.request(options);
  // Also what comes after the answer has begun, which the reader of the body reports.
  request.on('error', () => undefined);
  request.end(body);
  const [response] = await once(request, 'response');
  return response as http.IncomingMessage;
}

async function readText(response: http.IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response) {
    length += (part as Buffer).length;
    if (length > largestAnswer) throw new Error('the answer is too large');
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString('utf8');
}

function refused({ error }: ApiError): OneFlowerError {
  return new OneFlowerError({
    code: 'enrolment_refused',
    message: `The SuperLink refuses this node: ${error.message}`,
    reason: failures.enrolment_refused.reason,
    remedy: error.remedy ?? failures.enrolment_refused.remedy,
    details: { refusal: error.code },
  });
}

function unreachable({ host, port, secure }: Link, cause: unknown): OneFlowerError {
  return new OneFlowerError({
    code: 'superlink_unreachable',
    message: `The SuperLink at ${secure ? 'https' : 'http'}://${host}:${port} cannot be asked: ${messageOf(cause)}.`,
    ...failures.superlink_unreachable,
    reason: reasonOf(cause as NodeJS.ErrnoException) ?? failures.superlink_unreachable.reason,
    cause,
    details: { host, port },
  });
}

/** What is known about the cause, so that people need not guess between network and trust. */
function reasonOf({ code = '', name }: NodeJS.ErrnoException): string | undefined {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return 'Its certificate is for other names than the address that is dialled.';
  if (code === 'CERT_HAS_EXPIRED') return 'Its certificate has expired.';
  if (/^(UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|CERT_)/.test(code))
    return 'Its certificate was issued by another CA than the one that is trusted.';
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO')
    return 'It does not speak TLS as expected: FL_TLS_ENABLED may differ.';
  if (code === 'ECONNREFUSED') return 'Nothing listens there.';
  if (name === 'TimeoutError' || name === 'AbortError') return 'It did not answer in time.';
  return undefined;
}
