import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { EmbeddedCloud, ownApp, partitionsOf, type ServiceView } from '../support/embedded-cloud.ts';
import { processesOf } from '../support/processes.ts';

const long = 180_000;
const patient = { timeout: 90_000, interval: 1000 };

describe('a federation from nothing to nothing', () => {
  const cloud = new EmbeddedCloud();
  afterEach(context => cloud.explain(context));
  afterAll(() => cloud.remove());

  it('is deployed and trains', { timeout: long }, async () => {
    await cloud.document('cloud', 'start');
    const two = ['--nodes', '2', '--set', 'FL_USE_CASE=anomaly-detection', '--set', 'FL_NUM_ROUNDS=2'];
    const { service } = await cloud.document('deploy', 'sensors', ...two, '--wait');
    expect(service).toMatchObject({ nodes: 2, run: { status: 'completed', round: 2, rounds: 2, model: true } });
    const { runs } = await cloud.document('run', 'list', 'sensors');
    expect(runs).toMatchObject([{ app: 'anomaly-detection', status: 'completed', submittedBy: 'variables' }]);
    const status = await cloud.status('sensors');
    expect(status).toMatchObject({ state: 'RUNNING', flower: { tls: true, waitingFor: null } });
    expect(status.vms.map(({ ready }) => ready)).toEqual([true, true, true]);
    expect(partitionsOf(status)).toEqual([0, 1]);
  });

  it('leaves a model that NumPy loads', { timeout: long }, async () => {
    const file = join(cloud.home, 'model.npz');
    await cloud.document('model', 'download', 'sensors', '--output', file);
    const code = 'import numpy, sys; print(*sorted(numpy.load(sys.argv[1]).files))';
    const names = execFileSync(process.env.ONEFLOWER_PYTHON ?? 'python3', ['-c', code, file], { encoding: 'utf8' });
    expect(names).toContain('center');
  });

  it("runs a user's own app, which knows nothing of OneFlower", { timeout: long }, async () => {
    const training = ['-c', 'nodes=2', '-c', 'training-rounds=2'];
    const { run } = await cloud.document('run', 'submit', 'sensors', ownApp, ...training, '--wait');
    expect(run).toMatchObject({ app: 'own-app', status: 'completed', submittedBy: 'operator' });
    const { stdout } = await cloud.run('run', 'logs', 'sensors');
    expect(stdout).toContain('round 1: partitions [0, 1]');
    // Its nodes want 8 and 16. From 0 each goes half the way to its own, and Flower's FedAvg takes the mean: 6, then 9.
    expect(stdout).toContain('Starting FedAvg strategy');
    expect(stdout).toContain('trained round 1: distance 6.0');
    expect(stdout).toContain('trained round 2: distance 4.0');
    expect(stdout).toContain('trained weights: [9.0, 9.0, 9.0]');
  });

  it('gives every message to a warm process', async () => {
    const { vms } = await cloud.status('sensors');
    for (const { id } of vms) {
      const events = readFileSync(join(cloud.root(id), 'var/lib/oneflower/events.jsonl'), 'utf8');
      expect(events).toContain('"worker_warm"');
      expect(events).not.toContain('"worker_cold"');
    }
  });

  it('grows and shrinks, and every partition is held by one node', { timeout: long }, async () => {
    const scaled = async (nodes: number): Promise<ServiceView> => {
      await cloud.document('scale', 'sensors', String(nodes), '--wait');
      // Nodes that stay are told the new number of partitions; OneFlow rests a few seconds before it scales again.
      await expect.poll(async () => partitionsOf(await cloud.status('sensors')), patient).toHaveLength(nodes);
      await expect.poll(async () => (await cloud.status('sensors')).state, patient).toBe('RUNNING');
      return cloud.status('sensors');
    };
    const three = await scaled(3);
    expect(partitionsOf(three)).toEqual([0, 1, 2]);
    // OneFlow takes off the oldest node; the others keep what they have.
    const oldest = three.vms.find(({ role }) => role === 'supernode');
    const two = await scaled(2);
    expect(two.vms.map(({ id }) => id)).not.toContain(oldest?.id);
    expect(partitionsOf(two)).toEqual([0, 1, 2].filter(partition => partition !== oldest?.partitionId));
    // What it held goes to the next one that comes.
    const newest = (await scaled(3)).vms.at(-1);
    expect(newest?.partitionId).toBe(oldest?.partitionId);
    const { stderr, code } = await cloud.run('run', 'submit', 'sensors', ownApp, '-c', 'nodes=3', '--wait');
    expect(code, stderr).toBe(0);
    expect((await cloud.run('run', 'logs', 'sensors')).stdout).toContain('round 1: partitions [0, 1, 2]');
  });

  it('is deleted and leaves nothing behind', { timeout: long }, async () => {
    await cloud.document('delete', 'sensors');
    expect(readdirSync(cloud.vms)).toEqual([]);
    await expect(processesOf(cloud.vms)).resolves.toEqual([]);
    await expect(cloud.document('status')).resolves.toMatchObject({ services: [] });
    await cloud.document('cloud', 'stop');
    await expect(processesOf(cloud.home)).resolves.toEqual([]);
    await cloud.document('cloud', 'reset');
    expect(existsSync(join(cloud.home, 'embedded'))).toBe(false);
  });
});
