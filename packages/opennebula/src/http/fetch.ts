import { messageOf } from '@oneflower/contract';
import { type HttpAnswer, type HttpRequest, type HttpTransport, TransportError } from './transport.ts';

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
  'UND_ERR_CONNECT_TIMEOUT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/**
 * The transport over the global `fetch`: one connection per request (oned closes after every answer, and a kept
 * connection that the server drops looks like a lost request), no redirects (they would carry the login elsewhere).
 */
export function fetchTransport(fetcher: typeof fetch = fetch): HttpTransport {
  return async request => {
    const response = await send(fetcher, request);
    try {
      return { status: response.status, body: await readBody(response) };
    } catch (error) {
      throw failure(error, request, true);
    }
  };
}

async function send(fetcher: typeof fetch, request: HttpRequest): Promise<Response> {
  try {
    return await fetcher(request.url, {
      method: request.method,
      headers: { ...request.headers, connection: 'close' },
      redirect: 'manual',
      signal: request.signal,
      ...(request.body === undefined ? {} : { body: request.body }),
    });
  } catch (error) {
    throw failure(error, request, false);
  }
}

async function readBody(response: Response): Promise<HttpAnswer['body']> {
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_ANSWER_BYTES) throw new TransportError(`more than ${MAX_ANSWER_BYTES} bytes`, true);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function failure(error: unknown, request: HttpRequest, answered: boolean): unknown {
  if (error instanceof TransportError) return error;
  if (request.signal.aborted) return request.signal.reason;
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return new TransportError(describe(cause), answered || !NOT_SENT.has(codeOf(cause)), error);
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
