import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunSummary } from '@oneflower/contract';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCloud, type Finished } from '../support/embedded-cloud.ts';

const long = 240_000;
const app = join(import.meta.dirname, '..', 'support', 'misbehaving-app');
const misdeeds = { raise: /a bad day/, nan: /holds NaN/, shape: /has shape/, names: /lacks/, empty: /num-examples=0/ };
const ways = Object.keys(misdeeds);

interface Told {
  event: string;
  data: Record<string, unknown>;
}

/** A real federation of two nodes, of which the second one does in each round what it must not. */
describe('nodes that misbehave', () => {
  const cloud = new EmbeddedCloud();
  let superLink = -1;

  beforeAll(async () => {
    await cloud.document('cloud', 'start');
    await cloud.document('deploy', 'victim', '--nodes', '2');
    superLink = (await cloud.status('victim')).vms.find(({ role }) => role === 'superlink')?.id ?? -1;
  }, long);
  afterEach(context => cloud.explain(context));
  afterAll(() => cloud.remove());

  function submit(config: Record<string, string | number>): Promise<Finished> {
    const overrides = Object.entries(config).flatMap(([key, value]) => ['-c', `${key}=${JSON.stringify(value)}`]);
    return cloud.run('run', 'submit', 'victim', app, ...overrides, '--wait');
  }

  async function latest(): Promise<RunSummary | undefined> {
    return ((await cloud.document('run', 'list', 'victim')).runs as RunSummary[])[0];
  }

  /** What the SuperLink has told of the latest run. */
  async function told(event: string): Promise<Told['data'][]> {
    const runId = (await latest())?.runId;
    const text = readFileSync(join(cloud.root(superLink), 'var/lib/oneflower/events.jsonl'), 'utf8');
    const all = text.split('\n').filter(line => line.includes(`"${event}"`));
    return all.map(line => (JSON.parse(line) as Told).data).filter(data => data.run_id === runId);
  }

  it('are left out of their rounds, each with the reason, and the run completes', { timeout: long }, async () => {
    const misbehave = ways.map((how, index) => `${index + 1}.1=${how}`).join(' ');
    const { code, stderr } = await submit({ 'num-server-rounds': ways.length, misbehave });
    expect(code, stderr).toBe(0);
    const failures = await told('client_failure');
    expect(failures.map(({ round }) => round)).toEqual(ways.map((_, index) => index + 1));
    for (const [index, reason] of Object.values(misdeeds).entries()) expect(failures[index]?.error).toMatch(reason);
    expect(new Set(failures.map(({ node_id }) => node_id)).size).toBe(1);
    const ends = (await told('round_end')).map(({ num_clients_responded, num_clients_failed, metrics }) => ({
      replies: [num_clients_responded, num_clients_failed],
      metrics: Object.keys(metrics as object).toSorted(),
    }));
    expect(ends).toEqual(ways.map(() => ({ replies: [1, 1], metrics: ['eval_loss', 'train_loss'] })));
    expect(await latest()).toMatchObject({ status: 'completed', round: ways.length, model: true });
  });

  it('by silence end no run: the round ends without them, and the next run has them again', {
    timeout: long,
  }, async () => {
    const hung = await submit({ 'num-server-rounds': 2, 'round-timeout': 6, misbehave: '2.1=hang' });
    expect(hung.code, hung.stderr).toBe(0);
    // Its evaluation waits for its training, and may be too late as well.
    const [failure, ...others] = await told('client_failure');
    expect(failure).toMatchObject({ round: 2, error: 'No reply came within the time limit.' });
    for (const { node_id } of others) expect(node_id).toBe(failure?.node_id);
    expect(await latest()).toMatchObject({ status: 'completed', round: 2, model: true });
    const next = await submit({ 'num-server-rounds': 1 });
    expect(next.code, next.stderr).toBe(0);
    expect(await told('round_end')).toMatchObject([{ num_clients_responded: 2, num_clients_failed: 0 }]);
  });

  it('all of them end the run, which says why and leaves no model', { timeout: long }, async () => {
    const { code, stdout, stderr } = await submit({ 'round-timeout': 6, misbehave: '1.0=hang 1.1=raise' });
    expect(code).toBe(1);
    expect(stdout).toContain("No node's training had a result in any round");
    const reasons = (await told('client_failure')).map(({ error }) => error);
    expect(reasons).toContainEqual(expect.stringContaining('a bad day'));
    expect(reasons).toContain('No reply came within the time limit.');
    expect(stderr).toMatch(/SuperNode \d+ failed: a bad day/);
    expect(await latest()).toMatchObject({ status: 'failed', model: false, resumes: false });
  });
});
