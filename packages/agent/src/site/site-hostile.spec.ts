import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { anything, assert, asyncProperty, oneof, record, string, uint8Array } from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ask } from '../gate/testing.ts';
import { joinToken, newPublicKey, node, running, SiteStage } from './testing.ts';

let stage: SiteStage;
beforeEach(async () => {
  stage = await SiteStage.open();
});
afterEach(() => stage.close());

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
      const answer = await ask(stage.port, '/v1/site/enrol', { plain: true, headers, body: bytes });
      return answer.status === 400 && JSON.parse(answer.body).error.code === 'bad-request';
    });
    await assert(property, { numRuns: 150 });
    expect(stage.site.nodes()).toEqual([]);
  });

  it('of more than 16 KiB is refused', async () => {
    const headers = { authorization: `Bearer ${joinToken}` };
    const body = JSON.stringify({ ...node(), name: 'x'.repeat(17_000) });
    const answer = await ask(stage.port, '/v1/site/enrol', { plain: true, headers, body });
    expect([answer.status, answer.body]).toEqual([400, expect.stringContaining('larger than 16384')]);
  });

  it('in the token finds nothing', async () => {
    await stage.client().enrol(node());
    for (const authorization of [
      '',
      'Bearer',
      'Bearer ',
      'Basic eDp5',
      `Bearer ${'x'.repeat(2000)}`,
      `bearer ${joinToken}x`,
    ]) {
      const body = JSON.stringify(running);
      const state = await ask(stage.port, '/v1/site/state', { plain: true, headers: { authorization }, body });
      expect([state.status, JSON.parse(state.body).error.code]).toEqual([401, 'node-token-refused']);
    }
    expect((await ask(stage.port, '/v1/site/enrol', { plain: true })).status).toBe(405);
    expect((await ask(stage.port, '/v1/site/other', { plain: true, body: '' })).status).toBe(404);
  });
});

describe('a node that asks for too much', () => {
  it('cannot make the others believe in any number of partitions', async () => {
    const asking = stage.client().enrol(node({ partitionId: 1_000_000_000 }));
    await expect(asking).rejects.toMatchObject({ code: 'enrolment_refused', details: { refusal: 'bad-request' } });
    expect((await stage.client().enrol(node())).partition).toEqual({ id: 0, of: 3 });
  });

  it('cannot enrol keys without end', async () => {
    const publicKey = newPublicKey();
    const { partition, nodeToken } = await stage.client().enrol(node({ publicKey }));
    expect(nodeToken).not.toBe('');
    const file = join(stage.folder, 'site.json');
    const state = JSON.parse(await readFile(file, 'utf8'));
    const many = Array.from({ length: 9999 }, (_, index) => ({
      ...state.nodes[0],
      publicKey: `key ${index}`,
      partitionId: index + 1,
    }));
    await writeFile(file, JSON.stringify({ ...state, nodes: [...state.nodes, ...many] }));
    await stage.start();
    await expect(stage.client().enrol(node())).rejects.toMatchObject({ details: { refusal: 'partition-taken' } });
    expect(stage.book.nodes).toHaveLength(1);
    expect((await stage.client().enrol(node({ publicKey }))).partition.id).toBe(partition.id);
  });
});
