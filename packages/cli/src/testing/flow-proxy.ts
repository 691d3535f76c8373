import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Stage } from './stage.ts';

/** A way to a stage's OneFlow on which requests can be lost. */
export interface FlowProxy {
  /** Variables of the environment with which commands take this way. */
  environment: Record<string, string>;
  close(): Promise<void>;
}

/** What becomes of a request: it is passed on, refused with 403, or left without an answer. */
export type Fate = 'pass' | 'refuse' | 'swallow';

/** @param decide is called with each request, such as `DELETE /service_template/0`. */
export async function openFlowProxy(stage: Stage, decide: (request: string) => Fate): Promise<FlowProxy> {
  const { endpoint, oneflowUrl, session } = await stage.access();
  const server = createServer((request, response) => {
    pass(oneflowUrl, request, response, decide(`${request.method} ${request.url}`)).catch(error =>
      response.destroy(error),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const authFile = join(stage.home, 'proxy_auth');
  await writeFile(authFile, session);
  return {
    environment: {
      ONEFLOWER_HOME: stage.home,
      HOME: stage.home,
      ONE_XMLRPC: endpoint,
      ONEFLOW_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      ONE_AUTH: authFile,
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function pass(to: string, request: IncomingMessage, response: ServerResponse, fate: Fate): Promise<void> {
  const body = Buffer.concat(await request.toArray());
  if (fate === 'swallow') return;
  if (fate === 'refuse') {
    response.writeHead(403).end('{}');
    return;
  }
  const answer = await fetch(new URL(request.url ?? '/', to), {
    method: request.method ?? 'GET',
    headers: { authorization: request.headers.authorization ?? '', 'content-type': 'application/json' },
    ...(body.length > 0 ? { body } : {}),
  });
  response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' });
  response.end(Buffer.from(await answer.arrayBuffer()));
}
