import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EnrolRequest } from '@oneflower/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask } from '../gate/testing.ts';
import { joinToken, newPublicKey, node, running, SiteStage } from './testing.ts';

const minute = 60_000;

let stage: SiteStage;
beforeEach(async () => {
  stage = await SiteStage.open();
});
afterEach(() => stage.close());

describe('enrolment', () => {
  it('registers the key, leases the partitions in order and keeps tokens only as hashes', async () => {
    const answers = await stage.enrolAll([node(), node(), node()]);
    expect(answers.map(({ partition }) => partition)).toEqual([0, 1, 2].map(id => ({ id, of: 3 })));
    expect(answers.map(({ nodeId }) => nodeId)).toEqual(stage.book.nodes.map(({ nodeId }) => nodeId));
    const state = await readFile(join(stage.folder, 'site.json'), 'utf8');
    for (const { nodeToken } of answers) expect(state).not.toContain(nodeToken);
    expect(state).not.toContain(joinToken);
    expect((await stat(join(stage.folder, 'site.json'))).mode & 0o777).toBe(0o600);
    expect(stage.events.filter(([event]) => event === 'node_enrolled')).toHaveLength(3);
  });

  it('is harmless to repeat, also after a restart of the SuperLink', async () => {
    const me = node();
    const [first] = await stage.enrolAll([me, node()]);
    await stage.start();
    const again = await stage.client().enrol(me);
    expect([again.nodeId, again.partition]).toEqual([first?.nodeId, first?.partition]);
    expect(again.nodeToken).not.toBe(first?.nodeToken);
    await expect(stage.client().state(first?.nodeToken ?? '', running)).rejects.toMatchObject({
      details: { refusal: 'node-token-refused' },
    });
    expect(stage.book.nodes).toHaveLength(2);
  });

  it('never gives a partition twice to nodes that come at once', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => stage.client().enrol(node())));
    expect(new Set(answers.map(({ partition }) => partition.id)).size).toBe(12);
    expect(Math.max(...stage.site.nodes().map(({ partition }) => partition?.of ?? 0))).toBe(12);
  });

  it('finds the id of a key that Flower knows when the answer was lost', async () => {
    const me = node();
    const nodeId = await stage.book.registerNode(me.publicKey, 'n');
    expect((await stage.client().enrol(me)).nodeId).toBe(nodeId);
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
      const enrol = stage.client(token).enrol(request);
      await expect(enrol, refusal).rejects.toMatchObject({ code: 'enrolment_refused', details: { refusal } });
    }
    expect([stage.book.nodes, stage.site.nodes()]).toEqual([[], []]);
  });

  it('registers nothing with Flower for a node that is refused its partition', async () => {
    await stage.client().enrol(node({ partitionId: 1 }));
    const refused = stage.client().enrol(node({ partitionId: 1 }));
    await expect(refused).rejects.toMatchObject({ details: { refusal: 'partition-taken' } });
    expect(stage.book.nodes).toHaveLength(1);
  });

  it('tells a node to come again while Flower is down', async () => {
    stage.book.down = true;
    await expect(stage.client().enrol(node())).rejects.toMatchObject({ code: 'superlink_unreachable' });
    expect(stage.site.nodes()).toEqual([]);
  });

  it('lets the right join token in however often others behind the same address send a wrong one', async () => {
    const astray = stage.client('token-of-another-service');
    for (let index = 0; index < 300; index++) await astray.enrol(node()).catch(() => undefined);
    await expect(astray.enrol(node())).rejects.toMatchObject({
      message: expect.stringContaining('too many wrong ones came from this address'),
      remedy: expect.stringContaining('wait a minute'),
      details: { refusal: 'too-many-wrong-tokens' },
    });
    const headers = { authorization: 'Bearer wrong' };
    const answer = await ask(stage.port, '/v1/site/enrol', { plain: true, headers, body: '{}' });
    expect([answer.status, answer.headers['retry-after']]).toEqual([429, '60']);
    await expect(stage.client().enrol(node())).resolves.toBeDefined();
  });

  it('stops an address from trying many join tokens', async () => {
    for (let index = 0; index < 200; index++)
      await stage
        .client(`guess-${index}`)
        .enrol(node())
        .catch(() => undefined);
    await expect(stage.client().enrol(node())).rejects.toMatchObject({ details: { refusal: 'too-many-wrong-tokens' } });
    await stage.clock.advance(minute);
    await expect(stage.client().enrol(node())).resolves.toBeDefined();
  });

  it('tells a node whose key was removed for good to make another', async () => {
    const me = node();
    const { nodeToken } = await stage.client().enrol(me);
    await stage.client().leave(nodeToken);
    expect(stage.book.nodes[0]?.status).toBe('unregistered');
    await expect(stage.client().enrol(me)).rejects.toMatchObject({ details: { refusal: 'node-removed' } });
    expect((await stage.client().enrol(node())).partition.id).toBe(0);
  });
});

describe('the state on disk', () => {
  it('is set aside when damaged, and nodes get their ids back', async () => {
    const me = node();
    const { nodeId } = await stage.client().enrol(me);
    const file = join(stage.folder, 'site.json');
    const good = await readFile(file, 'utf8');
    const twice = JSON.parse(good);
    twice.nodes.push({ ...twice.nodes[0], publicKey: newPublicKey() });
    for (const damaged of ['', good.slice(0, 50), '{"version":2}', '[]', JSON.stringify(twice)]) {
      await stage.clock.advance(1);
      await writeFile(file, damaged);
      await stage.start();
      expect(stage.site.nodes()).toEqual([]);
    }
    expect(stage.warnings.filter(warning => warning.includes('damaged'))).toHaveLength(5);
    expect((await readdir(stage.folder)).filter(name => name.includes('.damaged-'))).toHaveLength(5);
    expect((await stage.client().enrol(me)).nodeId).toBe(nodeId);
  });

  it('is written before a node is told: without it there is no enrolment', async () => {
    await rm(stage.folder, { recursive: true });
    await expect(stage.client().enrol(node())).rejects.toMatchObject({ code: 'superlink_unreachable' });
    expect(stage.site.nodes()).toEqual([]);
  });
});

describe('a site that is closed', () => {
  it('finishes the enrolment under way, so that its successor knows of the lease', async () => {
    const registering = Promise.withResolvers<void>();
    const slow = {
      ...stage.book,
      registerNode: async (key: string, name: string) => {
        await registering.promise;
        return stage.book.registerNode(key, name);
      },
    };
    await stage.start({ control: slow });
    const first = stage.client().enrol(node());
    await new Promise(resolve => setTimeout(resolve, 50));
    const former = stage.site;
    const closed = former.close();
    registering.resolve();
    await closed;
    await stage.start();
    const second = await stage.client().enrol(node());
    expect(new Set([(await first).partition.id, second.partition.id])).toEqual(new Set([0, 1]));
    expect(stage.site.nodes()).toHaveLength(2);
    await expect(former.refresh()).rejects.toMatchObject({ code: 'not-ready' });
  });
});
