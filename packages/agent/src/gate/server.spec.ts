import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { systemClock } from '@oneflower/contract';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort, until } from '../flower-control/testing.ts';
import { answerJson, createGate } from './index.ts';
import { ask, type Bench, makeBench, startUpstream } from './testing.ts';
import type { Gate, GateOptions } from './types.ts';

let bench: Bench;
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  bench = await makeBench();
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

afterAll(async () => {
  await bench.remove();
});

async function startGate(handler: http.RequestListener, options: Partial<GateOptions> = {}) {
  const upstream = await startUpstream(bench.tls, handler);
  cleanups.push(upstream.stop);
  const port = await freePort();
  const gate = createGate({
    listen: { host: '127.0.0.1', port },
    tls: bench.tls,
    upstream: { host: '127.0.0.1', port: upstream.port, caPem: bench.tls.caPem },
    site: (request, response) => answerJson(response, 200, { site: request.url }),
    ...options,
  });
  await gate.listen();
  cleanups.push(() => gate.close());
  return { gate: gate as Gate, port, upstream, ca: bench.tls.caPem };
}

const echo: http.RequestListener = (request, response) => {
  response.setHeader('x-target', request.url ?? '');
  response.setHeader('x-seen', JSON.stringify(request.headers));
  request.pipe(response);
};

describe('what passes', () => {
  it('hands the Fleet API to Flower, with body, status and headers, and site calls to the site', async () => {
    const { port, ca } = await startGate((request, response) => {
      response.statusCode = 418;
      echo(request, response);
    });
    const answer = await ask(port, '/v1/fleet/push-object', { ca, body: 'some bytes', headers: { 'flwr-x': 'y' } });
    expect([answer.status, answer.body, answer.headers['x-target']]).toEqual([
      418,
      'some bytes',
      '/v1/fleet/push-object',
    ]);
    expect(JSON.parse(String(answer.headers['x-seen']))).toMatchObject({ 'flwr-x': 'y', 'content-length': '10' });
    expect((await ask(port, '/v1/site/enrol', { ca, body: '{}' })).body).toBe('{"site":"/v1/site/enrol"}');
  });

  it('answers 404 to everything else, and Flower never sees it', async () => {
    const seen: string[] = [];
    const { port, ca } = await startGate((request, response) => {
      seen.push(request.url ?? '');
      response.end();
    });
    const targets = ['/', '/health', '/v1/control/list-runs', '/v1/fleet/../control/start-run', '/v1/fleet/%2e%2e/x'];
    for (const target of targets) {
      const answer = await ask(port, target, { ca, body: '' });
      expect(answer.status, target).toBe(404);
      expect(JSON.parse(answer.body)).toMatchObject({ error: { code: 'not-found' } });
    }
    expect(seen).toEqual([]);
  });

  it("passes Flower's own 401 and 403 on, and none of its own making", async () => {
    const { port, ca } = await startGate((request, response) => {
      response.writeHead(Number(request.headers['x-want'])).end();
    });
    for (const status of [401, 403, 200]) {
      const answer = await ask(port, '/v1/fleet/x', { ca, headers: { 'x-want': status } });
      expect(answer.status).toBe(status);
    }
  });

  it('keeps hop-by-hop and forged headers from Flower', async () => {
    const { port, ca } = await startGate(echo);
    const headers = {
      connection: 'x-secret',
      'x-secret': '1',
      'x-forwarded-for': '127.0.0.1',
      te: 'trailers',
      upgrade: 'h2c',
    };
    const answer = await ask(port, '/v1/fleet/x', { ca, headers });
    const seen = JSON.parse(String(answer.headers['x-seen']));
    for (const name of ['x-secret', 'x-forwarded-for', 'te', 'upgrade']) expect(seen).not.toHaveProperty(name);
  });

  it('uses one connection to Flower again and again', async () => {
    const { port, ca, upstream } = await startGate((_, response) => response.end());
    let connections = 0;
    upstream.server.on('secureConnection', () => connections++);
    for (let index = 0; index < 10; index++) await ask(port, '/v1/fleet/x', { ca });
    expect(connections).toBe(1);
  });
});

describe('streaming', () => {
  it('passes 50 MB each way with back-pressure, holding next to nothing', async () => {
    const { port, ca } = await startGate((request, response) => request.pipe(response));
    const part = Buffer.alloc(256 * 1024, 7);
    const parts = 200;
    const request = https.request({ host: '127.0.0.1', port, path: '/v1/fleet/push-object', method: 'POST', ca });
    let accepted = 0;
    async function upload(): Promise<void> {
      for (; accepted < parts; accepted++) if (!request.write(part)) await once(request, 'drain');
      request.end();
    }
    const sent = upload();
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    // Nobody reads yet, so the upload must come to a halt once the sockets' buffers are full.
    let before = -1;
    while (before !== accepted) {
      before = accepted;
      await new Promise(resolve => setTimeout(resolve, 300));
    }
    expect(accepted).toBeLessThan(parts * 0.8);
    let received = 0;
    for await (const piece of response) received += (piece as Buffer).length;
    await sent;
    expect(received).toBe(parts * part.length);
  });

  it('breaks off for the client when Flower breaks off, and the other way round', async () => {
    let upstreamClosed = false;
    const { port, ca } = await startGate((request, response) => {
      if (request.url === '/v1/fleet/cut') {
        response.writeHead(200, { 'content-length': '100' });
        response.write('half');
        setTimeout(() => response.destroy(), 50);
        return;
      }
      request.on('close', () => {
        upstreamClosed = true;
      });
      request.resume();
    });
    await expect(ask(port, '/v1/fleet/cut', { ca })).rejects.toThrow(/aborted|hang up|ECONNRESET/);
    const request = https.request({ host: '127.0.0.1', port, path: '/v1/fleet/up', method: 'POST', ca });
    request.on('error', () => undefined);
    request.write('start');
    await new Promise(resolve => setTimeout(resolve, 100));
    request.destroy();
    await until(() => upstreamClosed, 5000);
  });
});

describe('when Flower is down', () => {
  it('answers 503 with Retry-After, and works again by itself', async () => {
    const { port, ca, upstream } = await startGate((_, response) => response.end('one'));
    expect((await ask(port, '/v1/fleet/x', { ca })).body).toBe('one');
    await upstream.stop();
    const down = await ask(port, '/v1/fleet/x', { ca, body: 'x'.repeat(1000_000) });
    expect([down.status, down.headers['retry-after']]).toEqual([503, '5']);
    expect(JSON.parse(down.body)).toMatchObject({ error: { code: 'not-ready' } });
    const again = await startUpstream(bench.tls, (_, response) => response.end('two'), upstream.port);
    cleanups.push(again.stop);
    expect((await ask(port, '/v1/fleet/x', { ca })).body).toBe('two');
  });

  it('trusts no one else on its port', async () => {
    const stranger = await startUpstream(await bench.issue('stranger'), (_, response) => response.end('caught'));
    cleanups.push(stranger.stop);
    const upstream = { host: '127.0.0.1', port: stranger.port, caPem: bench.tls.caPem };
    const { port, ca } = await startGate(echo, { upstream });
    expect((await ask(port, '/v1/fleet/x', { ca, headers: { cookie: 'secret' } })).status).toBe(503);
  });
});

describe('TLS', () => {
  it('is refused by a client with another CA or another name, and both can be seen', async () => {
    const reports: string[] = [];
    const { port, ca } = await startGate(echo, { onBadClient: (_, reason) => reports.push(reason) });
    const other = await bench.issue('another');
    await expect(ask(port, '/v1/fleet/x', { ca: other.caPem })).rejects.toThrow(
      /self-signed|unable to verify|signature/,
    );
    await expect(ask(port, '/v1/fleet/x', { ca, servername: 'elsewhere.example' })).rejects.toThrow(
      /altnames|does not match/,
    );
    const args = ['-connect', `127.0.0.1:${port}`, '-CAfile', other.caFile, '-verify_return_error'];
    spawn('openssl', ['s_client', ...args], { stdio: 'ignore' });
    await until(() => reports.length > 0, 5000);
    expect(reports).toEqual([expect.stringContaining('does not accept the certificate')]);
  });

  it('reports a client that speaks no TLS, once a minute, and cuts it off', async () => {
    const reports: string[] = [];
    const { port } = await startGate(echo, { onBadClient: (address, reason) => reports.push(`${address} ${reason}`) });
    for (let index = 0; index < 3; index++) {
      await expect(ask(port, '/v1/fleet/x', { plain: true })).rejects.toThrow();
    }
    await until(() => reports.length > 0, 2000);
    expect(reports).toEqual(['127.0.0.1 it does not speak TLS']);
  });

  it('refuses TLS 1.1', async () => {
    const { port, ca } = await startGate(echo);
    const socket = tls.connect({ host: '127.0.0.1', port, ca, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' });
    await expect(once(socket, 'secureConnect')).rejects.toThrow(/protocol|version|no protocols available/i);
    socket.destroy();
  });

  it('takes a new certificate without dropping what is under way', async () => {
    let finish: () => void = () => undefined;
    const { gate, port, ca } = await startGate((_, response) => {
      response.write('first ');
      finish = () => response.end('second');
    });
    const underWay = ask(port, '/v1/fleet/x', { ca });
    const renewed = await bench.issue('own', [{ type: 'dns', value: 'renewed.example' }]);
    await new Promise(resolve => setTimeout(resolve, 100));
    gate.reloadTls(renewed);
    finish();
    expect((await underWay).body).toBe('first second');
    const answer = ask(port, '/v1/site/x', { ca, servername: 'renewed.example' });
    expect((await answer).status).toBe(200);
  });
});

describe('slow and broken clients', () => {
  const limits = { handshakeMs: 300, headersMs: 400, idleMs: 5000 };

  it('cuts off who never finishes the handshake or the headers', async () => {
    const { port, ca } = await startGate(echo, { limits });
    const silent = net.connect({ host: '127.0.0.1', port });
    await once(silent, 'close');
    const idle = tls.connect({ host: '127.0.0.1', port, ca });
    idle.on('error', () => undefined).resume();
    await once(idle, 'close');
    const slow = tls.connect({ host: '127.0.0.1', port, ca });
    await once(slow, 'secureConnect');
    slow.write('GET /v1/fleet/x HTTP/1.1\r\n');
    const trickle = setInterval(() => slow.write('x: y\r\n'), 100);
    slow.on('error', () => undefined).resume();
    await once(slow, 'close');
    clearInterval(trickle);
  });

  it('leaves a waiting call alone that Flower answers late', async () => {
    const handler: http.RequestListener = (_, response) => setTimeout(() => response.end('late'), 1500);
    const { port, ca } = await startGate(handler, { limits });
    expect((await ask(port, '/v1/fleet/pull-messages', { ca, body: 'x' })).body).toBe('late');
  });

  it('answers what is not HTTP with 400', async () => {
    const { port, ca } = await startGate(echo);
    const socket = tls.connect({ host: '127.0.0.1', port, ca });
    socket.end('nonsense\r\n\r\n');
    const [data] = await once(socket, 'data');
    expect(String(data)).toMatch(/^HTTP\/1.1 400/);
    socket.destroy();
  });

  it('refuses a request whose length is ambiguous', async () => {
    const { port, ca } = await startGate(echo);
    const socket = tls.connect({ host: '127.0.0.1', port, ca });
    socket.write(
      'POST /v1/fleet/x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    );
    const [data] = await once(socket, 'data');
    expect(String(data)).toMatch(/^HTTP\/1.1 400/);
    socket.destroy();
  });
});

describe('listening', () => {
  it('says which port is taken', async () => {
    const { port } = await startGate(echo);
    const upstream = { host: '127.0.0.1', port: 1 };
    const second = createGate({ listen: { host: '127.0.0.1', port }, upstream, site: () => undefined }, systemClock);
    await expect(second.listen()).rejects.toMatchObject({
      code: 'port_taken',
      message: expect.stringContaining(`${port}`),
    });
  });

  it('serves without TLS where that is wanted', async () => {
    const plain = http.createServer(echo).listen(0, '127.0.0.1');
    await once(plain, 'listening');
    cleanups.push(async () => plain.close());
    const upstream = { host: '127.0.0.1', port: (plain.address() as net.AddressInfo).port };
    const { port } = await startGate(echo, { tls: undefined, upstream });
    expect((await ask(port, '/v1/fleet/x', { plain: true, body: 'open' })).body).toBe('open');
    expect((await ask(port, '/v1/control/x', { plain: true, body: 'open' })).status).toBe(404);
  });
});
