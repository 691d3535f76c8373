import { once } from 'node:events';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../flower-control/testing.ts';
import { answerJson, createGate } from './index.ts';
import { ask, type Bench, makeBench } from './testing.ts';

let bench: Bench;
const cleanups: (() => unknown)[] = [];

beforeAll(async () => {
  bench = await makeBench();
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

afterAll(() => bench.remove());

/** A gRPC server's manners: status in the trailers, or in the headers when there is no message. */
function answerCall(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
  if (headers[':path']?.endsWith('Refused')) {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '7' }, { endStream: true });
    return;
  }
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'fine' }));
  stream.pipe(stream);
}

async function start(secure: boolean) {
  const { certificatePem: cert, keyPem: key, caPem } = bench.tls;
  const upstream = secure ? http2.createSecureServer({ cert, key }) : http2.createServer();
  upstream.on('stream', answerCall).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  const sessions = new Set<http2.ServerHttp2Session>();
  upstream.on('session', session => sessions.add(session));
  async function stopUpstream(): Promise<void> {
    for (const session of sessions) session.destroy();
    upstream.close();
  }
  cleanups.push(stopUpstream);
  const port = await freePort();
  const gate = createGate({
    listen: { host: '127.0.0.1', port },
    tls: secure ? bench.tls : undefined,
    fleet: 'grpc',
    upstream: { host: '127.0.0.1', port: (upstream.address() as AddressInfo).port, caPem: secure ? caPem : undefined },
    site: (request, response) => answerJson(response, 200, { version: request.httpVersion }),
  });
  await gate.listen();
  cleanups.push(() => gate.close());
  const session = http2.connect(`${secure ? 'https' : 'http'}://127.0.0.1:${port}`, { ca: caPem });
  session.on('error', () => undefined);
  cleanups.push(() => session.destroy());
  return { port, session, stopUpstream };
}

async function callOn(session: http2.ClientHttp2Session, path: string, body: Buffer) {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let trailers: http2.IncomingHttpHeaders = {};
  stream.on('trailers', received => {
    trailers = received;
  });
  Readable.from(partsOf(body)).pipe(stream);
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  let length = 0;
  for await (const part of stream) length += (part as Buffer).length;
  return { headers, trailers, length };
}

function* partsOf(body: Buffer): Generator<Buffer> {
  for (let offset = 0; offset < body.length; offset += 65_536) yield body.subarray(offset, offset + 65_536);
}

describe('the gate before gRPC', () => {
  for (const secure of [true, false]) {
    const how = secure ? 'with TLS' : 'without TLS';

    it(`passes calls with bodies and trailers, and enrolment on the same port, ${how}`, async () => {
      const { port, session } = await start(secure);
      const call = await callOn(session, '/flwr.proto.Fleet/PushObject', Buffer.alloc(20_000_000));
      expect([
        call.headers[':status'],
        call.length,
        call.trailers['grpc-status'],
        call.trailers['grpc-message'],
      ]).toEqual([...[200, 20_000_000, '0', 'fine']]);
      const refused = await callOn(session, '/flwr.proto.Fleet/Refused', Buffer.alloc(0));
      expect(refused.headers['grpc-status']).toBe('7');
      const options = secure ? { ca: bench.tls.caPem } : { plain: true };
      expect((await ask(port, '/v1/site/enrol', { ...options, body: '{}' })).body).toBe('{"version":"1.1"}');
      expect((await callOn(session, '/v1/site/enrol', Buffer.alloc(0))).headers[':status']).toBe(200);
    });

    it(`passes nothing else, ${how}`, async () => {
      const { port, session } = await start(secure);
      for (const path of ['/flwr.proto.Control/StartRun', '/flwr.proto.ServerAppIo/X', '/v1/fleet/get-run']) {
        expect((await callOn(session, path, Buffer.alloc(0))).headers[':status']).toBe(404);
      }
      const options = secure ? { ca: bench.tls.caPem } : { plain: true };
      expect((await ask(port, '/flwr.proto.Fleet/GetRun', { ...options, body: '' })).status).toBe(404);
    });

    it(`answers that Flower is unavailable, never that the caller is not allowed, ${how}`, async () => {
      const { session, stopUpstream } = await start(secure);
      await callOn(session, '/flwr.proto.Fleet/GetRun', Buffer.alloc(10));
      await stopUpstream();
      const call = await callOn(session, '/flwr.proto.Fleet/GetRun', Buffer.alloc(10));
      expect([call.headers[':status'], call.headers['grpc-status']]).toEqual([200, '14']);
    });
  }

  it('outlives a header that may not be passed on', async () => {
    const { port, session } = await start(false);
    const headers = {
      ...{ ':method': 'POST', ':scheme': 'http', ':path': '/flwr.proto.Fleet/GetRun', ':authority': 'a' },
      'http2-settings': 'AAMAAABk',
    };
    // Node's own client sends no such header.
    const socket = net.connect(port, '127.0.0.1');
    cleanups.push(() => socket.destroy());
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(frame(4, 0, 0, Buffer.alloc(0)));
    socket.write(frame(1, 5, 1, Buffer.concat(Object.entries(headers).map(literal))));
    const received: Buffer[] = [];
    socket.on('data', part => received.push(part as Buffer));
    // The answer's headers: type 1, stream 1.
    await expect.poll(() => Buffer.concat(received).includes(Buffer.from([1, 5, 0, 0, 0, 1]))).toBe(true);
    expect((await callOn(session, '/flwr.proto.Fleet/GetRun', Buffer.alloc(10))).length).toBe(10);
  });
});

/** A frame of HTTP/2 (RFC 9113, 4.1). */
function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header field that goes into no table (RFC 7541, 6.2.2), both parts shorter than 127 bytes. */
function literal([name, value]: [string, string]): Buffer {
  const text = (part: string) => [Buffer.from([part.length]), Buffer.from(part)];
  return Buffer.concat([Buffer.from([0]), ...text(name), ...text(value)]);
}
