import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EnrolRequest, FakeClock } from '@oneflower/contract';
import { anything, assert, asyncProperty, oneof, record, string, uint8Array } from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask } from '../gate/testing.ts';
import { createSite, createSiteClient, type Site, type SiteOptions } from './index.ts';
import { createNodeBook, type NodeBook, newPublicKey } from './testing.ts';

const minute = 60_000;
const joinToken = 'join-token-of-the-service';
const running = { phase: 'running', restarts: 0, error: null } as const;

let folder: string;
let clock: FakeClock;
let book: NodeBook;
let vms: ReadonlySet<number> | undefined;
let events: [string, unknown][];
let warnings: string[];
let site: Site;
let server: http.Server;
let port: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-site-'));
  clock = new FakeClock();
  book = createNodeBook();
  vms = undefined;
  events = [];
  warnings = [];
  server = http.createServer((request, response) => site.handle(request, response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  port = (server.address() as AddressInfo).port;
  await start();
});

afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Starts the site, or another life of it with the state on disk. */
async function start(changed: Partial<SiteOptions> = {}): Promise<void> {
  site = await createSite({
    stateFile: join(folder, 'site.json'),
    joinToken,
    flowerVersion: '1.41.0',
    tls: true,
    control: book,
    clock,
    liveVmIds: async () => vms,
    expectedNodes: 3,
    emit: (event, data) => events.push([event, data]),
    warn: message => warnings.push(message),
    ...changed,
  });
}

function client(token = joinToken) {
  return createSiteClient({ endpoint: { host: '127.0.0.1', port }, joinToken: token });
}

function node(changed: Partial<EnrolRequest> = {}): EnrolRequest {
  return { name: 'n', publicKey: newPublicKey(), flowerVersion: '1.41.3', vmId: null, partitionId: null, ...changed };
}

async function enrolAll(nodes: readonly EnrolRequest[]) {
  const answers = [];
  for (const request of nodes) answers.push(await client().enrol(request));
  return answers;
}

describe('enrolment', () => {
  it('registers the key, leases the partitions in order and keeps tokens only as hashes', async () => {
    const answers = await enrolAll([node(), node(), node()]);
    expect(answers.map(({ partition }) => partition)).toEqual([0, 1, 2].map(id => ({ id, of: 3 })));
    expect(answers.map(({ nodeId }) => nodeId)).toEqual(book.nodes.map(({ nodeId }) => nodeId));
    const state = await readFile(join(folder, 'site.json'), 'utf8');
    for (const { nodeToken } of answers) expect(state).not.toContain(nodeToken);
    expect(state).not.toContain(joinToken);
    expect((await stat(join(folder, 'site.json'))).mode & 0o777).toBe(0o600);
    expect(events.filter(([event]) => event === 'node_enrolled')).toHaveLength(3);
  });

  it('is harmless to repeat, also after a restart of the SuperLink', async () => {
    const me = node();
    const [first] = await enrolAll([me, node()]);
    await start();
    const again = await client().enrol(me);
    expect([again.nodeId, again.partition]).toEqual([first?.nodeId, first?.partition]);
    expect(again.nodeToken).not.toBe(first?.nodeToken);
    await expect(client().state(first?.nodeToken ?? '', running)).rejects.toMatchObject({
      details: { refusal: 'node-token-refused' },
    });
    expect(book.nodes).toHaveLength(2);
  });

  it('never gives a partition twice to nodes that come at once', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => client().enrol(node())));
    expect(new Set(answers.map(({ partition }) => partition.id)).size).toBe(12);
    expect(Math.max(...site.nodes().map(({ partition }) => partition?.of ?? 0))).toBe(12);
  });

  it('finds the id of a key that Flower knows when the answer was lost', async () => {
    const me = node();
    const nodeId = await book.registerNode(me.publicKey, 'n');
    expect((await client().enrol(me)).nodeId).toBe(nodeId);
  });

  it('refuses with a reason, and leaves no trace', async () => {
    const cases: [EnrolRequest, string, string][] = [
      [node(), 'wrong', 'join-token-refused'],
      [node({ flowerVersion: '1.40.9' }), joinToken, 'flower-version-differs'],
      [node({ flowerVersion: '11.41.0' }), joinToken, 'flower-version-differs'],
      [node({ publicKey: 'ecdsa-sha2-nistp384 AAAA' }), joinToken, 'bad-request'],
      [node({ name: '' }), joinToken, 'bad-request'],
    ];
    for (const [request, token, refusal] of cases) {
      const enrol = client(token).enrol(request);
      await expect(enrol, refusal).rejects.toMatchObject({ code: 'enrolment_refused', details: { refusal } });
    }
    expect([book.nodes, site.nodes()]).toEqual([[], []]);
  });

  it('registers nothing with Flower for a node that is refused its partition', async () => {
    await client().enrol(node({ partitionId: 1 }));
    const refused = client().enrol(node({ partitionId: 1 }));
    await expect(refused).rejects.toMatchObject({ details: { refusal: 'partition-taken' } });
    expect(book.nodes).toHaveLength(1);
  });

  it('tells a node to come again while Flower is down', async () => {
    book.down = true;
    await expect(client().enrol(node())).rejects.toMatchObject({ code: 'superlink_unreachable' });
    expect(site.nodes()).toEqual([]);
  });

  it('stops an address from trying many join tokens', async () => {
    for (let index = 0; index < 20; index++)
      await client(`guess-${index}`)
        .enrol(node())
        .catch(() => undefined);
    await expect(client().enrol(node())).rejects.toThrow(/Too many wrong join tokens/);
    await clock.advance(minute);
    await expect(client().enrol(node())).resolves.toBeDefined();
  });

  it('tells a node whose key was removed for good to make another', async () => {
    const me = node();
    const { nodeToken } = await client().enrol(me);
    await client().leave(nodeToken);
    expect(book.nodes[0]?.status).toBe('unregistered');
    await expect(client().enrol(me)).rejects.toMatchObject({ details: { refusal: 'node-removed' } });
    expect((await client().enrol(node())).partition.id).toBe(0);
  });
});

describe('leases', () => {
  it("give a removed node's partition to its replacement at once", async () => {
    const old = node({ vmId: 11 });
    vms = new Set([10, 11, 12, 13]);
    await enrolAll([node({ vmId: 10 }), old, node({ vmId: 12 })]);
    vms = new Set([10, 12, 14]);
    const replacement = await client().enrol(node({ vmId: 14 }));
    expect(replacement.partition).toEqual({ id: 1, of: 3 });
    expect(book.nodes.find(({ publicKey }) => publicKey === old.publicKey)?.status).toBe('unregistered');
  });

  it('stay with a node that is silent as long as its VM exists', async () => {
    vms = new Set([10, 11, 12, 13]);
    await enrolAll([10, 11, 12].map(vmId => node({ vmId })));
    await clock.advance(60 * minute);
    expect((await client().enrol(node({ vmId: 13 }))).partition).toEqual({ id: 3, of: 4 });
  });

  it('of a long silent node are taken only when nothing else is free and Flower does not see it either', async () => {
    const [, second] = await enrolAll([node(), node()]);
    await clock.advance(16 * minute);
    const third = await client().enrol(node());
    expect(third.partition.id).toBe(2);
    book.setOnline([second?.nodeId ?? '', third.nodeId ?? '']);
    const fourth = await client().enrol(node());
    expect(fourth.partition.id).toBe(0);
    expect((await client().enrol(node())).partition).toEqual({ id: 3, of: 4 });
  });

  it('of a node that was silent for less are kept', async () => {
    await enrolAll([node(), node(), node()]);
    await clock.advance(14 * minute);
    expect((await client().enrol(node())).partition.id).toBe(3);
  });

  it('count silence anew when the SuperLink restarts', async () => {
    await enrolAll([node(), node(), node()]);
    await clock.advance(60 * minute);
    await start();
    expect((await client().enrol(node())).partition.id).toBe(3);
  });

  it('honour what the operator gave, unless a live node holds it', async () => {
    expect((await client().enrol(node({ partitionId: 7 }))).partition).toEqual({ id: 7, of: 8 });
    await expect(client().enrol(node({ partitionId: 7 }))).rejects.toMatchObject({
      details: { refusal: 'partition-taken' },
    });
    await clock.advance(16 * minute);
    expect((await client().enrol(node({ partitionId: 7 }))).partition.id).toBe(7);
  });

  it('follow the operator when the node is given another one', async () => {
    const me = node();
    await client().enrol(me);
    expect((await client().enrol({ ...me, partitionId: 2 })).partition.id).toBe(2);
    expect((await client().enrol(node())).partition.id).toBe(0);
  });

  it("never take a node of another site for removed because this site's OneGate does not list its VM", async () => {
    vms = new Set([1, 2]);
    await client().enrol(node({ vmId: 500 }));
    expect((await client().enrol(node({ vmId: 2 }))).partition.id).toBe(1);
    await clock.advance(minute);
    await site.refresh();
    await clock.advance(minute);
    await site.refresh();
    expect(site.nodes()).toHaveLength(2);
  });

  it('pass on when a VM was set up anew with another key', async () => {
    vms = new Set([5]);
    await client().enrol(node({ vmId: 5 }));
    await clock.advance(2 * minute);
    expect((await client().enrol(node({ vmId: 5 }))).partition.id).toBe(0);
    expect(site.nodes()).toHaveLength(1);
  });
});

describe('a key that was copied with a disk', () => {
  const original = node({ name: 'alpha', vmId: 11 });
  const copy = { ...original, name: 'beta', vmId: 12 };

  it('is refused to the copy in words while the other VM lives, which keeps its token', async () => {
    vms = new Set([11, 12]);
    const { nodeToken } = await client().enrol(original);
    const refused = await client()
      .enrol(copy)
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'enrolment_refused', details: { refusal: 'key-in-use' } });
    expect(refused).toMatchObject({
      message: expect.stringContaining('in use by node alpha in VM 11'),
      remedy: expect.stringContaining('delete /opt/flower/certs/node.key'),
    });
    await expect(client().state(nodeToken, running)).resolves.toBeDefined();
  });

  it('is refused also to a VM that OneGate does not know, and by a node that only Flower sees', async () => {
    const { nodeId } = await client().enrol(original);
    book.setOnline([nodeId ?? '']);
    await clock.advance(2 * minute);
    const refused = client().enrol({ ...copy, vmId: null });
    await expect(refused).rejects.toMatchObject({ details: { refusal: 'key-in-use' } });
  });

  it('lets the same VM in again after a reboot, however soon', async () => {
    vms = new Set([11]);
    const first = await client().enrol(original);
    expect((await client().enrol(original)).nodeId).toBe(first.nodeId);
  });

  it('lets in a replacement at once where the old VM is gone, and else when nothing was heard of it', async () => {
    vms = new Set([11]);
    const first = await client().enrol(original);
    vms = new Set([12]);
    const second = await client().enrol(copy);
    expect([second.nodeId, second.partition]).toEqual([first.nodeId, first.partition]);
    vms = undefined;
    await clock.advance(minute);
    await expect(client().enrol({ ...copy, vmId: 13 })).resolves.toMatchObject({ nodeId: first.nodeId });
    expect(site.nodes()).toMatchObject([{ vmId: 13 }]);
  });
});

describe('the state of nodes', () => {
  it('follows Flower for online, and tells of those that come and go', async () => {
    const { nodeId, nodeToken } = await client().enrol(node({ name: 'alpha' }));
    expect(await client().state(nodeToken, running)).toMatchObject({ online: false, training: false });
    book.setOnline([nodeId ?? '']);
    await clock.advance(1000);
    site.setTraining(true);
    const state = await client().state(nodeToken, running);
    expect(state).toEqual({ online: true, training: true, partition: { id: 0, of: 3 } });
    await site.refresh();
    await site.refresh();
    book.setOnline([]);
    await site.refresh();
    const told = events.filter(([event]) => event !== 'node_enrolled');
    expect(told).toEqual([
      ['client_join', { node_id: nodeId, name: 'alpha' }],
      ['client_leave', { node_id: nodeId, name: 'alpha' }],
    ]);
  });

  it.each(['starting', 'failed'] as const)('asks Flower, after a restart too, for a node that is %s', async phase => {
    const { nodeId, nodeToken } = await client().enrol(node());
    book.setOnline([nodeId ?? '']);
    await start();
    expect(await client().state(nodeToken, { ...running, phase })).toMatchObject({ online: true });
  });

  it('shows errors, restarts of phase and silence', async () => {
    const { nodeToken } = await client().enrol(node());
    await client().state(nodeToken, { phase: 'failed', restarts: 3, error: 'no data' });
    expect(site.nodes()[0]).toMatchObject({
      phase: 'failed',
      error: 'no data',
      lastSeen: new Date(clock.now()).toISOString(),
    });
    await clock.advance(minute);
    expect(site.nodes()[0]?.phase).toBe('away');
  });

  it('without TLS takes as many running nodes for online as Flower lists', async () => {
    await start({ tls: false });
    const answers = await enrolAll([node(), node()]);
    expect(answers.map(({ nodeId }) => nodeId)).toEqual([null, null]);
    await client().state(answers[0]?.nodeToken ?? '', running);
    await clock.advance(2000);
    const own = await book.registerNode('', '');
    book.setOnline([own]);
    expect((await client().state(answers[0]?.nodeToken ?? '', running)).online).toBe(true);
    expect((await client().state(answers[1]?.nodeToken ?? '', running)).online).toBe(false);
    expect(site.onlineCount()).toBe(1);
  });

  it('loses nodes whose VM is gone, after two looks, and tells Flower even if that is down at first', async () => {
    vms = new Set([1, 2]);
    await enrolAll([node({ vmId: 1 }), node({ vmId: 2 })]);
    vms = new Set([2]);
    await clock.advance(minute);
    await site.refresh();
    expect(site.nodes()).toHaveLength(2);
    await clock.advance(minute);
    const unregister = book.unregisterNode;
    book.unregisterNode = async () => {
      throw new Error('down');
    };
    await site.refresh();
    expect(site.nodes()).toHaveLength(1);
    expect(warnings.join()).toContain('VM 1 does not exist');
    book.unregisterNode = unregister;
    await start();
    await site.refresh();
    expect(book.nodes.map(({ status }) => status)).toEqual(['unregistered', 'registered']);
  });

  it('ignores a OneGate that lists nothing', async () => {
    vms = new Set([1]);
    await client().enrol(node({ vmId: 1 }));
    vms = new Set();
    for (let look = 0; look < 3; look++) {
      await clock.advance(minute);
      await site.refresh();
    }
    expect(site.nodes()).toHaveLength(1);
  });
});

describe('the state on disk', () => {
  it('is set aside when damaged, and nodes get their ids back', async () => {
    const me = node();
    const { nodeId } = await client().enrol(me);
    const file = join(folder, 'site.json');
    const good = await readFile(file, 'utf8');
    const twice = JSON.parse(good);
    twice.nodes.push({ ...twice.nodes[0], publicKey: newPublicKey() });
    for (const damaged of ['', good.slice(0, 50), '{"version":2}', '[]', JSON.stringify(twice)]) {
      await clock.advance(1);
      await writeFile(file, damaged);
      await start();
      expect(site.nodes()).toEqual([]);
    }
    expect(warnings.filter(warning => warning.includes('damaged'))).toHaveLength(5);
    expect((await readdir(folder)).filter(name => name.includes('.damaged-'))).toHaveLength(5);
    expect((await client().enrol(me)).nodeId).toBe(nodeId);
  });

  it('is written before a node is told: without it there is no enrolment', async () => {
    await rm(folder, { recursive: true });
    await expect(client().enrol(node())).rejects.toMatchObject({ code: 'superlink_unreachable' });
    expect(site.nodes()).toEqual([]);
  });
});

describe('hostile input', () => {
  it('is answered with a refusal, whatever it is', async () => {
    const headers = { authorization: `Bearer ${joinToken}` };
    const enrolLike = record({ name: anything(), publicKey: anything(), vmId: anything() }, { requiredKeys: [] });
    const body = oneof(
      string().map(text => Buffer.from(text)),
      uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)),
      oneof(anything(), enrolLike).map(value => Buffer.from(JSON.stringify(value) ?? '')),
    );
    const property = asyncProperty(body, async bytes => {
      const answer = await ask(port, '/v1/site/enrol', { plain: true, headers, body: bytes });
      return answer.status === 400 && JSON.parse(answer.body).error.code === 'bad-request';
    });
    await assert(property, { numRuns: 150 });
    expect(site.nodes()).toEqual([]);
  });

  it('of more than 16 KiB is refused', async () => {
    const headers = { authorization: `Bearer ${joinToken}` };
    const body = JSON.stringify({ ...node(), name: 'x'.repeat(17_000) });
    const answer = await ask(port, '/v1/site/enrol', { plain: true, headers, body });
    expect([answer.status, answer.body]).toEqual([400, expect.stringContaining('larger than 16384')]);
  });

  it('in the token finds nothing', async () => {
    await client().enrol(node());
    for (const authorization of [
      '',
      'Bearer',
      'Bearer ',
      'Basic eDp5',
      `Bearer ${'x'.repeat(2000)}`,
      `bearer ${joinToken}x`,
    ]) {
      const body = JSON.stringify(running);
      const state = await ask(port, '/v1/site/state', { plain: true, headers: { authorization }, body });
      expect([state.status, JSON.parse(state.body).error.code]).toEqual([401, 'node-token-refused']);
    }
    expect((await ask(port, '/v1/site/enrol', { plain: true })).status).toBe(405);
    expect((await ask(port, '/v1/site/other', { plain: true, body: '' })).status).toBe(404);
  });
});

describe('a site that is closed', () => {
  it('finishes the enrolment under way, so that its successor knows of the lease', async () => {
    const registering = Promise.withResolvers<void>();
    const slow = {
      ...book,
      registerNode: async (key: string, name: string) => {
        await registering.promise;
        return book.registerNode(key, name);
      },
    };
    await start({ control: slow });
    const first = client().enrol(node());
    await new Promise(resolve => setTimeout(resolve, 50));
    const former = site;
    const closed = former.close();
    registering.resolve();
    await closed;
    await start();
    const second = await client().enrol(node());
    expect(new Set([(await first).partition.id, second.partition.id])).toEqual(new Set([0, 1]));
    expect(site.nodes()).toHaveLength(2);
    await expect(former.refresh()).rejects.toMatchObject({ code: 'not-ready' });
  });
});

describe('a node that asks for too much', () => {
  it('cannot make the others believe in any number of partitions', async () => {
    const asking = client().enrol(node({ partitionId: 1_000_000_000 }));
    await expect(asking).rejects.toMatchObject({ code: 'enrolment_refused', details: { refusal: 'bad-request' } });
    expect((await client().enrol(node())).partition).toEqual({ id: 0, of: 3 });
  });

  it('cannot enrol keys without end', async () => {
    const publicKey = newPublicKey();
    const { partition, nodeToken } = await client().enrol(node({ publicKey }));
    expect(nodeToken).not.toBe('');
    const file = join(folder, 'site.json');
    const state = JSON.parse(await readFile(file, 'utf8'));
    const many = Array.from({ length: 9999 }, (_, index) => ({
      ...state.nodes[0],
      publicKey: `key ${index}`,
      partitionId: index + 1,
    }));
    await writeFile(file, JSON.stringify({ ...state, nodes: [...state.nodes, ...many] }));
    await start();
    await expect(client().enrol(node())).rejects.toMatchObject({ details: { refusal: 'partition-taken' } });
    expect(book.nodes).toHaveLength(1);
    expect((await client().enrol(node({ publicKey }))).partition.id).toBe(partition.id);
  });
});
