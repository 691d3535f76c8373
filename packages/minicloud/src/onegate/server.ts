import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { answer, type GateParts } from './handlers.ts';
import type { GateRequest } from './params.ts';
import type { Reply } from './reply.ts';

/** A OneGate server that answers guests. */
export interface OneGate {
  /** Listens; rejects with the system's error (`EADDRINUSE`, `EADDRNOTAVAIL`). */
  listen(host: string, port: number): Promise<void>;
  /** The port that it listens on. */
  readonly port: number;
  /** Ends the listener and all connections. */
  close(): Promise<void>;
}

export interface OneGateOptions extends GateParts {
  /** Told of an error that no request should cause. */
  onError?: (error: unknown) => void;
}

/** oned takes no text over 10 MB, so nothing longer is worth reading. */
const LONGEST_BODY = 10_000_000;
const JSON_TYPE = 'application/json;charset=utf-8';

/** Makes the server that VMs tell their attributes to. It holds no state of its own. */
export function createOneGate(options: OneGateOptions): OneGate {
  const server = createServer({ requestTimeout: 60_000, headersTimeout: 20_000 }, (request, response) => {
    serve(options, request, response).catch(error => {
      options.onError?.(error);
      if (!response.headersSent) send(response, { status: 500, body: 'Internal server error' });
      else response.destroy();
    });
  });
  return {
    listen: (host, port) => listen(server, host, port),
    get port() {
      const address = server.address();
      return typeof address === 'object' && address !== null ? address.port : 0;
    },
    close: () => close(server),
  };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening');
}

async function close(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

async function serve(options: OneGateOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  if (!body) {
    // The rest of the body is not read, so the connection cannot be used again.
    response.setHeader('Connection', 'close');
    return send(response, { status: 500, body: 'Internal server error' });
  }
  const [path = '/', query = ''] = splitUrl(request.url ?? '/');
  const gateRequest: GateRequest = {
    method: request.method ?? 'GET',
    path,
    query,
    headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
    body,
  };
  send(response, await answer(options, gateRequest));
}

function splitUrl(url: string): [string, string] {
  const mark = url.indexOf('?');
  return mark < 0 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}

/** The whole body, or undefined when it is too long. */
function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('error', reject);
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= LONGEST_BODY) {
        chunks.push(chunk);
        return;
      }
      request.pause();
      resolve(undefined);
    });
  });
}

function send(response: ServerResponse, reply: Reply): void {
  response.sendDate = false;
  response.statusCode = reply.status;
  response.setHeader('X-Content-Type-Options', 'nosniff');
  if (reply.status === 204) {
    response.end();
    return;
  }
  const body = Buffer.from(reply.body, 'utf8');
  response.setHeader('Content-Type', reply.contentType ?? JSON_TYPE);
  response.setHeader('Content-Length', body.length);
  response.end(body);
}
