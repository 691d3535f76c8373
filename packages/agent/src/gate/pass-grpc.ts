import http2 from 'node:http2';
import { pipeline } from 'node:stream';
import { pinned } from '../flower-control/pinned.ts';
import { answerNotFound } from './answers.ts';
import { passedOn } from './headers.ts';
import type { Pass } from './pass-http.ts';
import type { HttpRequest, Upstream } from './types.ts';

/** Room for data under way; HTTP/2's default of 64 KiB would make large models crawl. */
export const windowBytes = 4 * 1024 * 1024;
/** MiB that one connection may hold; Node's default of 10 ends calls that two full windows are enough to bring about. */
export const sessionMiB = 64;

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
      if (!(response instanceof http2.Http2ServerResponse)) {
        answerNotFound(response);
        return;
      }
      try {
        passCall(request, response, connected());
      } catch {
        // Headers that cannot be passed on, or a connection that has ended in this moment.
        answerBroken(response);
      }
    },
    close: () => session?.destroy(),
  };
}

function connect({ host, port, caPem }: Upstream): http2.ClientHttp2Session {
  const authority = `${caPem === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const settings = { initialWindowSize: windowBytes, enablePush: false };
  const session = http2.connect(authority, {
    settings,
    maxSessionMemory: sessionMiB,
    ...(caPem === undefined ? {} : pinned(caPem)),
  });
  session.on('connect', () => session.setLocalWindowSize(windowBytes));
  // The streams report it; the next call connects anew.
  session.on('error', () => session.destroy());
  session.unref();
  return session;
}

function passCall(request: HttpRequest, response: http2.Http2ServerResponse, session: http2.ClientHttp2Session): void {
  const onward = session.request({
    ...passedOn(request.headers),
    ':method': request.method ?? 'POST',
    ':path': request.url ?? '/',
    te: 'trailers',
  });
  onward.on('response', (headers, flags) => {
    if (response.destroyed) return;
    const status = headers[':status'] ?? 502;
    if (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) {
      answerAtOnce(response, { ...passedOn(headers), ':status': status });
      return;
    }
    response.writeHead(status, passedOn(headers));
    onward.pipe(response);
  });
  // A call's outcome is in its trailers; they come before the end of the body that ends the answer.
  onward.on('trailers', trailers => response.addTrailers(passedOn(trailers)));
  onward.on('error', () => answerBroken(response));
  response.on('close', () => onward.close(http2.constants.NGHTTP2_CANCEL));
  pipeline(request, onward, () => undefined);
}

function answerBroken(response: http2.Http2ServerResponse): void {
  if (response.destroyed || response.writableEnded) return;
  if (response.headersSent) response.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  else answerAtOnce(response, unavailable);
}

/** An answer without a body whose headers say the outcome: gRPC wants them to end the stream. */
function answerAtOnce(response: http2.Http2ServerResponse, headers: http2.OutgoingHttpHeaders): void {
  response.stream.respond(headers, { endStream: true });
}
