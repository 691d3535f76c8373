import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, createServer as createTcp, type Server } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { probeFleet } from './probe.ts';

async function listening(server: Server): Promise<{ host: string; port: number }> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

async function http(listener: RequestListener): Promise<{ host: string; port: number }> {
  const server = createServer(listener);
  onTestFinished(() => server.closeAllConnections());
  return listening(server);
}

const plain = { caPem: undefined } as const;

describe('probeFleet', () => {
  it('knows Flower by its answer to GET', async () => {
    const asked: string[] = [];
    const gate = await http((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      response.writeHead(405).end('{"detail":"Method Not Allowed"}');
    });
    await probeFleet({ gate, fleet: 'http', ...plain });
    expect(asked).toEqual(['GET /v1/fleet/activate-node']);
  });

  it.each([
    [404, '{"detail":"Not Found"}'],
    [405, 'Method Not Allowed'],
    [502, 'Flower does not answer'],
    [200, '{"detail":"welcome"}'],
  ])('takes nothing else for Flower: %i %s', async (status, body) => {
    const gate = await http((_, response) => response.writeHead(status).end(body));
    await expect(probeFleet({ gate, fleet: 'http', ...plain })).rejects.toMatchObject({
      code: 'health_check_timeout',
      message: expect.stringContaining(String(status)),
    });
  });

  it.each(['http', 'grpc'] as const)('is not content with an open port (%s)', async fleet => {
    const gate = await listening(createTcp(socket => socket.end()));
    await expect(probeFleet({ gate, fleet, ...plain })).rejects.toMatchObject({ code: 'health_check_timeout' });
  });

  it.each(['http', 'grpc'] as const)('says that nothing listens (%s)', async fleet => {
    const gate = { host: '127.0.0.1', port: 1 };
    await expect(probeFleet({ gate, fleet, ...plain })).rejects.toThrow('ECONNREFUSED');
  });

  it('knows a gRPC Fleet API by HTTP/2', async () => {
    const server = createHttp2();
    const gate = await listening(server);
    await probeFleet({ gate, fleet: 'grpc', ...plain });
  });
});
