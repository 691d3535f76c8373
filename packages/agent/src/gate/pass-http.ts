import http from 'node:http';
import https from 'node:https';
import { pipeline } from 'node:stream';
import { pinned } from '../flower-control/pinned.ts';
import { collectBuffersOf } from '../memory.ts';
import { answerError, writeHead } from './answers.ts';
import { passedOn } from './headers.ts';
import type { HttpRequest, HttpResponse, Upstream } from './types.ts';

/** Passes requests on to Flower over kept connections, streaming both ways. */
export interface Pass {
  handle(request: HttpRequest, response: HttpResponse): void;
  close(): void;
}

/** Flower's HTTP server closes a connection after five idle seconds: ours must go first. */
const idleConnectionMs = 4000;

/** `without`: headers that are for the listener in front, not for Flower. */
export function createHttpPass(upstream: Upstream, without: readonly string[] = []): Pass {
  const pool = { keepAlive: true, timeout: idleConnectionMs, scheduling: 'lifo' as const };
  const { caPem } = upstream;
  const agent = caPem === undefined ? new http.Agent(pool) : new https.Agent({ ...pool, ...pinned(caPem) });
  const send = caPem === undefined ? http.request : https.request;
  return {
    handle: (request, response) =>
      pass(request, response, options => send({ ...options, agent }), { ...upstream, without }),
    close: () => agent.destroy(),
  };
}

type Send = (options: https.RequestOptions) => http.ClientRequest;

function pass(
  request: HttpRequest,
  response: HttpResponse,
  send: Send,
  to: Upstream & { without: readonly string[] },
): void {
  const { host, port, without } = to;
  const headers: http.OutgoingHttpHeaders = { ...passedOn(request.headers), host: hostHeader(host, port) };
  for (const name of without) delete headers[name];
  const onward = send({ host, port, method: request.method, path: request.url, headers });
  onward.on('response', answer => {
    if (response.destroyed) {
      answer.destroy();
      return;
    }
    writeHead(response, answer.statusCode ?? 502, passedOn(answer.headers));
    // An answer that breaks off must break off for the client too, never look complete: pipeline destroys it.
    pipeline(answer, response, () => undefined);
    collectBuffersOf(answer);
  });
  onward.on('error', () => answerUnavailable(response));
  response.on('close', () => onward.destroy());
  request.pipe(onward);
  collectBuffersOf(request);
}

/** Flower's client tries again on 503; on 401 it would end, on 403 drop its message. */
export function answerUnavailable(response: HttpResponse): void {
  const error = {
    code: 'not-ready',
    message: 'Flower does not answer behind this gate at the moment.',
    remedy: 'Try again in a few seconds.',
  };
  answerError(response, 503, error, { 'retry-after': '5' });
}

function hostHeader(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
