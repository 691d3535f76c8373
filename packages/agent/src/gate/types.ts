import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';

export interface HostPort {
  host: string;
  port: number;
}

export interface TlsMaterial {
  certificatePem: string;
  keyPem: string;
}

export interface Upstream extends HostPort {
  /** The CA of Flower's certificate; without it Flower is spoken to in plain text (FL_TLS_ENABLED=NO). */
  caPem?: string | undefined;
}

export type HttpRequest = IncomingMessage | Http2ServerRequest;
export type HttpResponse = ServerResponse | Http2ServerResponse;
/** Answers a request; must not throw. */
export type HttpHandler = (request: HttpRequest, response: HttpResponse) => void;

/** What a slow or idle client may cost. */
export interface GateLimits {
  handshakeMs: number;
  /** From the first byte of a request to the end of its headers. */
  headersMs: number;
  /** A connection on which nothing moves either way; well above the longest silence of a waiting call. */
  idleMs: number;
  connections: number;
}

export interface GateOptions {
  listen: HostPort;
  /** Absent: plain HTTP (FL_TLS_ENABLED=NO). */
  tls?: TlsMaterial | undefined;
  /** Flower's Fleet API. */
  upstream: Upstream;
  /** What SuperNodes speak: `flowerProfiles` of the contract. */
  fleet?: 'http' | 'grpc' | undefined;
  /** Answers `/v1/site/`. */
  site: HttpHandler;
  limits?: Partial<GateLimits> | undefined;
  /** A client that speaks no TLS, or no HTTP: at most one a minute and address. */
  onBadClient?: ((address: string, reason: string) => void) | undefined;
}

export interface Gate {
  /** @throws OneFlowerError `port_taken` */
  listen(): Promise<void>;
  /** New connections see the new certificate, open ones go on. */
  reloadTls(tls: TlsMaterial, upstreamCaPem?: string): void;
  close(): Promise<void>;
}
