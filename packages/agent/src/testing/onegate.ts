import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** How the server answers from now on. */
export type OneGateMood = 'well' | 'refuses' | 'crashes' | 'hangs' | 'garbage';

/** A OneGate over real HTTP, with what was asked of it. */
export interface FakeOneGate {
  endpoint: string;
  /** Attributes that were set, request by request. */
  puts: Record<string, string>[];
  /** Attributes of the VM as they stand now. */
  attributes: Record<string, string>;
  /** All requests as `METHOD PATH`. */
  requests: string[];
  mood: OneGateMood;
  /** Body of `GET /service?extended=true`. */
  service: unknown;
}

export async function fakeOneGate(): Promise<FakeOneGate> {
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const gate: FakeOneGate = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    puts: [],
    attributes: {},
    requests: [],
    mood: 'well',
    service: undefined,
  };
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    gate.requests.push(`${request.method} ${request.url}`);
    if (gate.mood === 'hangs') return;
    if (gate.mood === 'refuses') return void response.writeHead(401).end('Not authorized');
    if (gate.mood === 'crashes') return void response.writeHead(500).end('Internal server error');
    if (gate.mood === 'garbage') return void response.end('<html>{]');
    if (request.method === 'PUT') {
      const attributes = readAttributes(Buffer.concat(parts).toString('utf8'));
      gate.puts.push(attributes);
      Object.assign(gate.attributes, attributes);
      response.end();
      return;
    }
    if (request.url === '/vm') {
      response.end(JSON.stringify({ VM: { ID: '7', NAME: 'guest', USER_TEMPLATE: gate.attributes } }));
      return;
    }
    if (gate.service === undefined) response.writeHead(400).end('Empty or invalid SERVICE_ID');
    else response.end(JSON.stringify(gate.service));
  }

  return gate;
}

function readAttributes(body: string): Record<string, string> {
  const lines = (new URLSearchParams(body).get('data') ?? '').split('\n');
  return Object.fromEntries(
    lines.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1).replace(/^""$/, '')]),
  );
}
