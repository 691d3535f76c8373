import { connect } from 'node:net';
import { decodeResponse, encodeCall } from '@oneflower/opennebula';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createOnedServer, type OnedServer } from './index.ts';
import { openTestCloud, session, type TestCloud } from './testing/cloud.ts';

let cloud: TestCloud;
let server: OnedServer;
let port = 0;

beforeEach(async () => {
  cloud = await openTestCloud();
  server = createOnedServer(cloud.oned);
  port = await server.listen(0, '127.0.0.1');
});

afterEach(async () => {
  await server.close();
  cloud.oned.close();
});

async function post(body: string | Buffer): Promise<ReturnType<typeof decodeResponse>> {
  const response = await fetch(`http://127.0.0.1:${port}/RPC2`, {
    method: 'POST',
    body: new Uint8Array(Buffer.from(body)),
  });
  expect(response.status).toBe(200);
  return decodeResponse(await response.text());
}

describe('the XML-RPC server', () => {
  it('rejects an address that is taken', async () => {
    const second = createOnedServer(cloud.oned);
    await expect(second.listen(port, '127.0.0.1')).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });

  it.each([
    ['nothing of XML', 'hello'],
    ['NUL', encodeCall('one.vm.info', [session, 0]).replace('one.vm', 'one\u0000vm')],
    ['a lone byte of UTF-8', Buffer.from([...Buffer.from('<methodCall><methodName>'), 0xff])],
    ['an entity bomb', '<!DOCTYPE a [<!ENTITY b "x">]><methodCall><methodName>&b;</methodName></methodCall>'],
    ['a deep document', '<a>'.repeat(50_000)],
  ])('answers %s with a fault', async (_name, body) => {
    expect(await post(body)).toMatchObject({ fault: { code: -503 } });
  });

  it('answers a method that looks like a part of every object with a fault', async () => {
    for (const method of ['constructor', '__proto__', 'toString']) {
      expect(await post(encodeCall(method, [session]))).toMatchObject({ fault: { code: -506 } });
    }
  });

  it('takes a template of megabytes', async () => {
    const text = `<T><NAME>big</NAME><A>${'x'.repeat(5_000_000)}</A></T>`;
    expect(await post(encodeCall('one.document.allocate', [session, text, 7]))).toEqual({ value: [true, 0, 0] });
  });

  it('refuses a body that says it is huge before reading it', async () => {
    const answer = await new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect(port, '127.0.0.1', () => {
        socket.write('POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n');
      });
      socket.on('data', part => {
        text += String(part);
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
  });

  it('goes on when a client leaves in the middle', async () => {
    await new Promise<void>(resolve => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.write('POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n<meth', () => socket.destroy());
      });
      socket.on('close', () => resolve());
    });
    expect(await post(encodeCall('one.system.version', [session]))).toEqual({ value: [true, '7.5.80', 0] });
  });
});
