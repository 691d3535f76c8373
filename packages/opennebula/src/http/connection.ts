import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { messageOf } from '@oneflower/contract';
import { type HttpRequest, type HttpTransport, TransportError } from './transport.ts';

/** Bytes of one answer; a pool of thousands of machines is some MB. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** What the operating system or TLS says when there was no usable connection, so that nothing was sent. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/**
 * The transport over Node's own HTTP client, which is smaller in memory than its `fetch`: one connection per request
 * (oned closes after every answer, and a kept connection that the server drops looks like a lost request), no redirects
 * (they would carry the login elsewhere).
 */
export function connectionTransport(): HttpTransport {
  return async request => {
    const response = await send(request);
    try {
      return { status: response.statusCode ?? 0, body: await readBody(response) };
    } catch (error) {
      throw failure(error, request, true);
    }
  };
}

async function send({ url, method, headers, body, signal }: HttpRequest): Promise<http.IncomingMessage> {
  try {
    const { request } = url.startsWith('https:') ? https : http;
    // Node itself states no length for the body of a DELETE, which then never arrives.
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const sent = request(url, {
      method,
      headers: { ...headers, ...length, connection: 'close' },
      agent: false,
      signal,
    });
    // Also what comes after the answer has begun, which the reader of the body reports.
    sent.on('error', () => undefined);
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [http.IncomingMessage];
    return response;
  } catch (error) {
    throw failure(error, { signal }, false);
  }
}

async function readBody(response: http.IncomingMessage): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.byteLength;
    if (size > MAX_ANSWER_BYTES) throw new TransportError(`more than ${MAX_ANSWER_BYTES} bytes`, true);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function failure(error: unknown, request: Pick<HttpRequest, 'signal'>, answered: boolean): unknown {
  if (error instanceof TransportError) return error;
  if (request.signal.aborted) return request.signal.reason;
  return new TransportError(describe(error), answered || !NOT_SENT.has(codeOf(error)), error);
}

function describe(cause: unknown): string {
  const message = messageOf(cause);
  return message === '' ? codeOf(cause) : message;
}

/** A name with several addresses fails with one error per address. */
function codeOf(cause: unknown): string {
  if (typeof cause !== 'object' || cause === null) return '';
  if ('code' in cause && typeof cause.code === 'string') return cause.code;
  return cause instanceof AggregateError ? codeOf(cause.errors[0]) : '';
}
