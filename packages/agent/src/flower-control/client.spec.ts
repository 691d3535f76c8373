import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@oneflower/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureCertificates } from '../certificates/index.ts';
import { openSshPublicKey } from '../node-key.ts';
import { createControlApi } from './index.ts';
import { type FlowerProcess, freePort, startSuperLink } from './testing.ts';
import type { ControlApi } from './types.ts';

let folder: string;
let link: FlowerProcess;
let control: ControlApi;
let port: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-control-'));
  port = await freePort();
  const paths = { certsDirectory: join(folder, 'certs'), caDirectory: join(folder, 'ca') };
  const tls = await ensureCertificates({ ...paths, names: [], clock: systemClock });
  link = await startSuperLink({ folder, port, tls });
  control = createControlApi({ host: '127.0.0.1', port, caPem: tls.caPem });
});

afterAll(async () => {
  await control?.close();
  await link?.stop();
  await rm(folder, { recursive: true, force: true });
});

function newKey(): string {
  return openSshPublicKey(createPublicKey(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey));
}

describe("Flower's Control API", () => {
  it('registers nodes, lists them with their keys and exact ids, and removes them', async () => {
    const keys = [newKey(), newKey()];
    const ids = await Promise.all(keys.map((key, index) => control.registerNode(key, `node ${index}`)));
    const listed = await control.listNodes();
    expect(new Set(ids).size).toBe(2);
    for (const [index, nodeId] of ids.entries()) {
      expect(nodeId).toMatch(/^\d{1,20}$/);
      expect(listed).toContainEqual(
        expect.objectContaining({ nodeId, publicKey: keys[index], name: `node ${index}`, status: 'registered' }),
      );
    }
    await control.unregisterNode(ids[0] ?? '');
    const left = (await control.listNodes()).filter(({ status }) => status !== 'unregistered');
    expect(left.map(({ nodeId }) => nodeId)).toEqual([ids[1]]);
  });

  it('tells the refusals apart', async () => {
    const key = newKey();
    const nodeId = await control.registerNode(key, 'once');
    await expect(control.registerNode(key, 'twice')).rejects.toMatchObject({ code: 'flower-key-known' });
    await expect(control.registerNode('ecdsa-sha2-nistp384 AAAA', 'x')).rejects.toMatchObject({
      code: 'flower-key-invalid',
    });
    await control.unregisterNode(nodeId);
    await expect(control.unregisterNode('18446744073709551615')).rejects.toMatchObject({ code: 'flower-node-unknown' });
    await expect(control.stopRun('1')).rejects.toMatchObject({ code: 'flower-refused' });
    const logs = control.streamLogs('1', 0, AbortSignal.timeout(5000))[Symbol.asyncIterator]();
    await expect(logs.next()).rejects.toMatchObject({ code: 'flower-refused' });
  });

  it('knows no runs yet, and answers its probe', async () => {
    expect(await control.listRuns()).toEqual([]);
    expect(await control.health()).toBe(true);
  });

  it('trusts its CA alone', async () => {
    const paths = { certsDirectory: join(folder, 'other'), caDirectory: join(folder, 'other-ca') };
    const other = await ensureCertificates({ ...paths, names: [], clock: systemClock });
    const stranger = createControlApi({ host: '127.0.0.1', port, caPem: other.caPem });
    await expect(stranger.listNodes()).rejects.toMatchObject({ code: 'flower-unreachable' });
    expect(await stranger.health()).toBe(false);
    await stranger.close();
  });
});

describe('a server that is not Flower', () => {
  it('is an error that says so, never garbage', async () => {
    const server = createServer((_, response) => response.end(Buffer.alloc(50, 0xff))).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const strange = createControlApi({
      host: '127.0.0.1',
      port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    });
    await expect(strange.listNodes()).rejects.toMatchObject({ code: 'flower-unreachable' });
    await strange.close();
    server.close();
    server.closeAllConnections();
  });
});
