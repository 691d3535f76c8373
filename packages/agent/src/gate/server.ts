import http from 'node:http';
import http2 from 'node:http2';
import type https from 'node:https';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { type Clock, systemClock } from '@oneflower/contract';
import { answerNotFound } from './answers.ts';
import { createBadClientReport } from './bad-clients.ts';
import { createHttpServer, defaultLimits, http1Options, secureContext } from './http-server.ts';
import { closeServer, listenOn } from './listening.ts';
import { createGrpcPass, sessionMiB, windowBytes } from './pass-grpc.ts';
import { createHttpPass, type Pass } from './pass-http.ts';
import { destinationOf } from './paths.ts';
import type { Gate, GateLimits, GateOptions, HttpHandler, Upstream } from './types.ts';

/**
 * The gate: what of a SuperLink other machines may reach. It passes Flower's Fleet API through and hands enrolment to
 * the site; Flower's Control and Runtime APIs, which ask for no credentials, stay on loopback. It never answers 401 or
 * 403 for Flower: a SuperNode ends itself on the one and drops its message on the other.
 */
export function createGate(options: GateOptions, clock: Clock = systemClock): Gate {
  const fleet = options.fleet ?? 'http';
  let pass = createPass(fleet, options.upstream);
  const server = createServer(options, clock, (request, response) => {
    response.on('error', () => undefined);
    const destination = destinationOf(request.url, fleet);
    if (destination === 'site') options.site(request, response);
    else if (destination === 'fleet') pass.handle(request, response);
    else answerNotFound(response);
  });
  return {
    listen: () => listenOn(server, options.listen),
    reloadTls(tls, upstreamCaPem) {
      if (isTlsServer(server)) server.setSecureContext(secureContext(tls));
      if (upstreamCaPem === undefined || upstreamCaPem === options.upstream.caPem) return;
      // The former connections to Flower serve what is under way on them, then idle out.
      pass = createPass(fleet, { ...options.upstream, caPem: upstreamCaPem });
    },
    async close() {
      await closeServer(server, clock);
      pass.close();
    },
  };
}

type GateServer = http.Server | https.Server | http2.Http2SecureServer | net.Server;

function createPass(fleet: 'http' | 'grpc', upstream: Upstream): Pass {
  return fleet === 'http' ? createHttpPass(upstream) : createGrpcPass(upstream);
}

function createServer(options: GateOptions, clock: Clock, handler: HttpHandler): GateServer {
  const limits = { ...defaultLimits, ...options.limits };
  const report = createBadClientReport(clock, options.onBadClient ?? (() => undefined));
  const server = options.fleet === 'grpc' ? createGrpcServer(options, limits, handler) : undefined;
  const gate = server ?? createHttpServer(options.tls, limits, handler);
  gate.maxConnections = limits.connections;
  gate.on('tlsClientError', (error: Error, socket: Duplex) => {
    report(addressOf(socket), error);
    socket.destroy();
  });
  gate.on('clientError', (error: Error, socket: Duplex) => {
    report(addressOf(socket), error);
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
    else socket.destroy();
  });
  return gate;
}

/** HTTP/2 for gRPC, HTTP/1.1 for enrolment, on one port: told apart by ALPN, without TLS by the first bytes. */
function createGrpcServer(options: GateOptions, limits: GateLimits, handler: HttpHandler): GateServer {
  const http2Options = { settings: { initialWindowSize: windowBytes }, maxSessionMemory: sessionMiB };
  if (options.tls) {
    const secure = { ...secureContext(options.tls), allowHTTP1: true, handshakeTimeout: limits.handshakeMs };
    const server = http2.createSecureServer({ ...http1Options(limits), ...secure, ...http2Options }, handler);
    server.on('session', prepareSession(limits));
    return server;
  }
  const cleartext = http2.createServer(http2Options, handler).on('session', prepareSession(limits));
  const http1 = http.createServer(http1Options(limits), handler);
  http1.timeout = limits.idleMs;
  return net.createServer({ pauseOnConnect: false }, socket => dispatch(socket, limits, cleartext, http1));
}

function prepareSession({ idleMs }: GateLimits): (session: http2.ServerHttp2Session) => void {
  return session => {
    session.setLocalWindowSize(windowBytes);
    session.setTimeout(idleMs, () => session.close());
    session.on('error', () => session.destroy());
  };
}

function dispatch(socket: net.Socket, { headersMs }: GateLimits, h2: http2.Http2Server, http1: http.Server): void {
  const preface = 'PRI';
  socket.setTimeout(headersMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  socket.once('readable', () => {
    const start: Buffer | null = socket.read();
    if (!start) return;
    socket.setTimeout(0);
    socket.removeAllListeners('timeout');
    socket.unshift(start);
    const isH2 = start.subarray(0, preface.length).toString('latin1') === preface;
    (isH2 ? h2 : http1).emit('connection', socket);
  });
}

function isTlsServer(server: GateServer): server is https.Server | http2.Http2SecureServer {
  return 'setSecureContext' in server;
}

function addressOf(socket: Duplex): string | undefined {
  return socket instanceof net.Socket ? socket.remoteAddress : undefined;
}
