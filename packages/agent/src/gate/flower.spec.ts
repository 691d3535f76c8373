import { generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EventName, systemClock } from '@oneflower/contract';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Certificates, ensureCertificates } from '../certificates/index.ts';
import { type ControlApi, createControlApi } from '../flower-control/index.ts';
import { type FlowerProcess, freePort, startFlower, startSuperLink, until } from '../flower-control/testing.ts';
import { ensureNodeKey, type NodeKey } from '../node-key.ts';
import { createSite, createSiteClient, type Site } from '../site/index.ts';
import { createGate, type Gate } from './index.ts';
import { type Bench, makeBench } from './testing.ts';

const version = '1.41.0';
const joinToken = 'join-token-of-the-service';

let bench: Bench;
let link: FlowerProcess;
let flowerPort: number;
let control: ControlApi;
let site: Site;
let gate: Gate;
let port: number;
const events: EventName[] = [];
const running: FlowerProcess[] = [];

beforeAll(async () => {
  bench = await makeBench();
  [flowerPort, port] = [await freePort(), await freePort()];
  link = await startSuperLink({ folder: bench.folder, port: flowerPort, tls: bench.tls });
  const upstream = { host: '127.0.0.1', port: flowerPort, caPem: bench.tls.caPem };
  control = createControlApi(upstream);
  site = await createSite({
    stateFile: join(bench.folder, 'site.json'),
    joinToken,
    flowerVersion: version,
    tls: true,
    control,
    clock: systemClock,
    nodeRole: async () => undefined,
    fewestNodes: 2,
    emit: event => events.push(event),
    warn: () => undefined,
  });
  gate = createGate({ listen: { host: '127.0.0.1', port }, tls: bench.tls, upstream, site: site.handle });
  await gate.listen();
});

afterEach(async () => {
  await Promise.all(running.splice(0).map(process => process.stop()));
});

afterAll(async () => {
  await gate?.close();
  await control?.close();
  await link?.stop();
  await bench.remove();
});

async function newKey(name: string): Promise<NodeKey> {
  return await ensureNodeKey(join(bench.folder, `${name}.key`));
}

/** A real SuperNode that dials the gate. */
async function startNode(name: string, key: NodeKey, caFile = bench.tls.caFile, host = '127.0.0.1') {
  const folder = join(bench.folder, name);
  await mkdir(folder, { recursive: true });
  const node = startFlower('flower-supernode', folder, [
    ...['--superlink', `${host}:${port}`, '--root-certificates', caFile, '--auth-supernode-private-key', key.file],
    ...['--host', '127.0.0.1', '--port', String(await freePort())],
  ]);
  running.push(node);
  return node;
}

function enrol(key: NodeKey, caPem = bench.tls.caPem, token = joinToken) {
  const client = createSiteClient({ endpoint: { host: '127.0.0.1', port }, caPem, joinToken: token });
  return client.enrol({
    name: 'node',
    publicKey: key.publicKey,
    flowerVersion: version,
    vmId: null,
    partitionId: null,
  });
}

describe('a SuperNode through the gate', () => {
  it('is enrolled, comes online, leaves, and is told apart from one that is not enrolled', {
    timeout: 60_000,
  }, async () => {
    const key = await newKey('enrolled');
    const { nodeId, nodeToken, partition } = await enrol(key);
    expect(partition).toEqual({ id: 0, of: 2 });
    const client = createSiteClient({ endpoint: { host: '127.0.0.1', port }, caPem: bench.tls.caPem });
    const node = await startNode('enrolled', key);
    const state = () => client.state(nodeToken, { phase: 'running', restarts: 0, error: null });
    await until(async () => (await state()).online, 20_000);
    await site.refresh();
    expect(site.onlineCount()).toBe(1);
    expect(site.nodes()).toMatchObject([{ nodeId, online: true, phase: 'running' }]);

    const stranger = await startNode('stranger', await newKey('stranger'));
    expect(await stranger.exited).not.toBeNull();
    expect(stranger.output()).toContain('2004');

    await node.stop();
    await until(async () => {
      await site.refresh();
      return !(await state()).online;
    }, 20_000);
    expect(events).toEqual(['node_enrolled', 'client_join', 'client_leave']);
    await client.leave(nodeToken);
    expect((await control.listNodes()).find(listed => listed.nodeId === nodeId)?.status).toBe('unregistered');
    await client.close();
  });

  it('that trusts another CA is refused by its own check', async () => {
    const other = await bench.issue('other');
    const key = await newKey('foreign');
    await expect(enrol(key, other.caPem)).rejects.toMatchObject({
      code: 'superlink_unreachable',
      reason: expect.stringContaining('another CA'),
    });
    const node = await startNode('foreign', key, other.caFile);
    expect(await node.exited).toBe(1);
    expect(node.output()).toMatch(/SSL\/TLS|certificate/i);
  });

  it('with a wrong join token is not registered', async () => {
    const key = await newKey('uninvited');
    await expect(enrol(key, bench.tls.caPem, 'guess')).rejects.toMatchObject({
      code: 'enrolment_refused',
      details: { refusal: 'join-token-refused' },
    });
    expect((await control.listNodes()).some(({ publicKey }) => publicKey === key.publicKey)).toBe(false);
  });

  it('says why when the certificate has expired or is for another name', async () => {
    const tryWith = async (tls: Certificates, host = '127.0.0.1') => {
      const ownPort = await freePort(host);
      const upstream = { host: '127.0.0.1', port: flowerPort, caPem: bench.tls.caPem };
      const listen = { host, port: ownPort };
      const expired = createGate({ listen, tls, upstream, site: site.handle });
      await expired.listen();
      const client = createSiteClient({ endpoint: { host, port: ownPort }, caPem: tls.caPem, joinToken });
      const request = {
        name: 'n',
        publicKey: 'ecdsa-sha2-nistp384 AA',
        flowerVersion: version,
        vmId: null,
        partitionId: null,
      };
      const outcome = await client.enrol(request).catch(error => error);
      await client.close();
      await expired.close();
      return outcome;
    };
    const past = { now: () => Date.now() - 500 * 24 * 3600 * 1000, after: systemClock.after };
    const folders = { certsDirectory: join(bench.folder, 'past'), caDirectory: join(bench.folder, 'past-ca') };
    const expired = await ensureCertificates({ ...folders, names: [], clock: past });
    expect(await tryWith(expired)).toMatchObject({
      code: 'superlink_unreachable',
      reason: 'Its certificate has expired.',
    });
    const refused = await tryWith(bench.tls, '127.0.0.2');
    expect(refused).toMatchObject({ code: 'superlink_unreachable', reason: expect.stringContaining('other names') });
  });
});

describe('the keys of nodes', () => {
  it('in PEM are what Flower refuses, which is why they are OpenSSH files', async () => {
    const file = join(bench.folder, 'pem.key');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    await writeFile(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    const node = await startNode('pem', { file, publicKey: '' });
    expect(await node.exited).not.toBe(0);
  });
});
