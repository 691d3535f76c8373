import http from 'node:http';
import https from 'node:https';
import type { GateLimits, HttpHandler, TlsMaterial } from './types.ts';

export const defaultLimits: GateLimits = { handshakeMs: 10_000, headersMs: 15_000, idleMs: 300_000, connections: 5000 };

/** An HTTP/1.1 server, with TLS where there is a certificate, that slow clients cannot wear out. */
export function createHttpServer(
  tls: TlsMaterial | undefined,
  limits: GateLimits,
  handler: HttpHandler,
): http.Server | https.Server {
  const http1 = http1Options(limits);
  const server = tls
    ? https.createServer({ ...http1, ...secureContext(tls), handshakeTimeout: limits.handshakeMs }, handler)
    : http.createServer(http1, handler);
  server.timeout = limits.idleMs;
  return server;
}

/** Limits of HTTP/1.1. */
export function http1Options({ headersMs }: GateLimits): http.ServerOptions {
  return {
    headersTimeout: headersMs,
    // A large model over a slow line may take long; what stands still is cut by the idle limit.
    requestTimeout: 3600_000,
    keepAliveTimeout: 75_000,
    maxHeaderSize: 16 * 1024,
    connectionsCheckingInterval: Math.min(5000, headersMs / 2),
  };
}

/** What a TLS server is made of. */
export function secureContext({ certificatePem, keyPem }: TlsMaterial): {
  cert: string;
  key: string;
  minVersion: 'TLSv1.2';
} {
  return { cert: certificatePem, key: keyPem, minVersion: 'TLSv1.2' };
}
