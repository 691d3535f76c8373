import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, messageOf } from '@oneflower/contract';
import type { Oned } from '../interfaces.ts';
import { Cloud } from './cloud.ts';
import { Engine } from './engine/engine.ts';
import { crash, Refusal } from './refusal.ts';
import type { Exchange } from './rest/exchange.ts';
import { type RestAnswer, type RestRequest, textAnswer, unknownPathAnswer } from './rest/http.ts';
import { logIn } from './rest/login.ts';
import { routes } from './rest/routes.ts';

/** No service of thousands of VMs comes near it. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

export interface OneFlowOptions {
  oned: Oned;
  clock: Clock;
  /**
   * A session (`name:password` or `name:token`) that acts as the user with that id: services go on when their owner
   * is not there. User 0 is asked for once at the start, to read all services.
   */
  sessionOf(userId: number): string;
  /** Told of faults that no caller hears of. */
  onFault?: (error: unknown) => void;
}

/** The embedded OneFlow. */
export interface OneFlow {
  /** Answers one request; never throws. */
  handle(request: RestRequest): RestAnswer;
  /** Listens on loopback or wherever told; resolves with the port. */
  listen(port: number, host?: string): Promise<number>;
  /** Goes on with all services where their documents say they are. Called once, before requests are served. */
  resume(): void;
  /** Writes what has happened and stops listening, timers included. */
  close(): Promise<void>;
}

/** Makes an embedded OneFlow over an oned in the same process. */
export function createOneFlow(options: OneFlowOptions): OneFlow {
  const cloud = new Cloud(options.oned);
  const engine = new Engine({ ...options, cloud });
  let server: Server | undefined;

  function answer(request: RestRequest): RestAnswer {
    const caller = logIn(cloud, request.headers.authorization);
    const path = request.path.replace(/\?.*$/s, '');
    for (const { method, pattern, handle } of routes) {
      const found = method === request.method ? pattern.exec(path) : undefined;
      if (!found) continue;
      const { id = '', role = '' } = found.groups ?? {};
      const now = Math.floor(options.clock.now() / 1000);
      const exchange: Exchange = { cloud, engine, caller, id: leadingId(id), role, body: request.body, now };
      return handle(exchange);
    }
    return unknownPathAnswer();
  }

  function handle(request: RestRequest): RestAnswer {
    try {
      return answer(request);
    } catch (error) {
      if (error instanceof Refusal) return textAnswer(error.status, error.message);
      options.onFault?.(error);
      return textAnswer(500, crash(messageOf(error)).message);
    }
  }

  return {
    handle,
    resume: () => engine.resume(),
    async listen(port, host = '127.0.0.1') {
      server = createServer((request, response) => void serve(handle, request, response));
      await new Promise<void>((resolve, reject) => {
        server?.once('error', reject).listen(port, host, resolve);
      });
      return (server.address() as AddressInfo).port;
    },
    async close() {
      engine.close();
      const closing = server;
      server = undefined;
      if (!closing) return;
      closing.closeAllConnections();
      await new Promise<void>(resolve => closing.close(() => resolve()));
    },
  };
}

function leadingId(text: string): number {
  return Number.parseInt(text, 10) || 0;
}

async function serve(handle: OneFlow['handle'], request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  const headers = { authorization: request.headers.authorization };
  const answer =
    body === undefined
      ? textAnswer(413, 'The request is too large')
      : handle({ method: request.method ?? '', path: request.url ?? '', headers, body });
  response.writeHead(answer.status, {
    ...answer.headers,
    ...(answer.status === 204 ? {} : { 'Content-Length': Buffer.byteLength(answer.body) }),
  });
  response.end(answer.body);
}

/** The whole body, or undefined when it is too large or ends early. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) chunks.push(chunk);
    }
  } catch {
    return undefined;
  }
  return size > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks).toString('utf8');
}
