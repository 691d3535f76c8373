import http2 from 'node:http2';
import { pipeline } from 'node:stream';
import { pinned } from '../flower-control/pinned.ts';
import { answerNotFound } from './answers.ts';
import { passedOn } from './headers.ts';
import type { Pass } from './pass-http.ts';
import type { HttpRequest, Upstream } from './types.ts';

/** Room for data under way; HTTP/2's default of 64 KiB would make large models crawl. */
export const windowBytes = 4 * 1024 * 1024;

/** gRPC's status UNAVAILABLE, on which its clients try again. */
const unavailable = { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '14' } as const;

/** Passes gRPC calls on over one HTTP/2 connection to Flower (its Fleet API before 1.40), streaming both ways. */
export function createGrpcPass(upstream: Upstream): Pass {
  let session: http2.ClientHttp2Session | undefined;
  function connected(): http2.ClientHttp2Session {
    if (!session || session.closed || session.destroyed) session = connect(upstream);
    return session;
  }
  return {
    handle(request, response) {
      if (!('stream' in request) || request.stream === undefined) answerNotFound(response);
      else passStream(request.stream as http2.ServerHttp2Stream, request, connected());
    },
    close: () => session?.destroy(),
  };
}

function connect({ host, port, caPem }: Upstream): http2.ClientHttp2Session {
  const authority = `${caPem === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const settings = { initialWindowSize: windowBytes, enablePush: false };
  const session = http2.connect(authority, { settings, ...(caPem === undefined ? {} : pinned(caPem)) });
  session.on('connect', () => session.setLocalWindowSize(windowBytes));
  // The streams report it; the next call connects anew.
  session.on('error', () => session.destroy());
  session.unref();
  return session;
}

function passStream(incoming: http2.ServerHttp2Stream, request: HttpRequest, session: http2.ClientHttp2Session): void {
  const onward = session.request({
    ...passedOn(request.headers),
    ':method': request.method ?? 'POST',
    ':path': request.url ?? '/',
    te: 'trailers',
  });
  onward.on('response', headers => {
    if (incoming.destroyed) return;
    incoming.respond(
      { ...passedOn(headers), ':status': headers[':status'] ?? 502 },
      { waitForTrailers: true, endStream: onward.readableEnded },
    );
    passTrailers(onward, incoming);
    onward.pipe(incoming);
  });
  onward.on('error', () => answerBroken(incoming));
  incoming.on('error', () => onward.close(http2.constants.NGHTTP2_CANCEL));
  incoming.on('close', () => onward.close(http2.constants.NGHTTP2_CANCEL));
  pipeline(incoming, onward, () => undefined);
}

/** A call's outcome is in its trailers, so they are sent when Flower has sent its own. */
function passTrailers(onward: http2.ClientHttp2Stream, incoming: http2.ServerHttp2Stream): void {
  let trailers: http2.IncomingHttpHeaders = {};
  onward.on('trailers', received => {
    trailers = received;
  });
  incoming.on('wantTrailers', () => {
    if (!incoming.destroyed) incoming.sendTrailers(passedOn(trailers));
  });
}

function answerBroken(incoming: http2.ServerHttp2Stream): void {
  if (incoming.destroyed) return;
  if (incoming.headersSent) incoming.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  else incoming.respond(unavailable, { endStream: true });
}
