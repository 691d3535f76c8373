import { type OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { ApiError } from '@oneflower/contract';
import type { HttpResponse } from './types.ts';

/** Begins an answer; HTTP/1.1 and HTTP/2 do it alike. */
export function writeHead(response: HttpResponse, status: number, headers: OutgoingHttpHeaders): void {
  if (response instanceof ServerResponse) response.writeHead(status, headers);
  else response.writeHead(status, headers);
}

/** Answers with a JSON document. */
export function answerJson(
  response: HttpResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(body);
  writeHead(response, status, {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(text)),
    'cache-control': 'no-store',
    ...headers,
  });
  response.end(text);
}

/** Answers with an error in the form of the contract. */
export function answerError(
  response: HttpResponse,
  status: number,
  error: ApiError['error'],
  headers: Record<string, string> = {},
): void {
  answerJson(response, status, { error } satisfies ApiError, headers);
}

/** Whatever is not served looks the same. */
export function answerNotFound(response: HttpResponse): void {
  answerError(response, 404, { code: 'not-found', message: 'Nothing is served here.' });
}
