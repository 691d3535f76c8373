import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  checkpointFolder,
  flowerRun,
  interrupt,
  surroundings,
  training,
  type World,
  writeCheckpoint,
} from './testing.ts';

describe('a new VM with the disk of an earlier one', () => {
  async function moved(changes: object = {}, values: Record<string, string> = {}): Promise<World> {
    const all = await surroundings(values);
    const folder = checkpointFolder(all);
    await writeCheckpoint(folder, '41', 1, { saved_at: '2025-01-01T00:00:00Z', is_final: true });
    for (const round of [2, 3]) await writeCheckpoint(folder, '42', round, changes);
    const keeper = await all.open();
    all.outside.online = 2;
    await keeper.tick();
    return { ...all, keeper };
  }

  it('goes on with the training that was never finished, and says so', async () => {
    const { keeper, outside, said, lines } = await moved();
    expect(outside.handedOver).toEqual([{ app: 'anomaly-detection', upload: null, from: '42/round-000003.npz' }]);
    expect(keeper.current()).toMatchObject({ runId: '101', continues: '42', round: 3, submittedBy: 'variables' });
    expect(said('run_resumed')[0]?.data).toEqual({ run_id: '101', continues: '42', round: 3 });
    expect(lines.join('\n')).toMatch(/Training goes on from round 3 of 5, where run 42 of an earlier VM/);
  });

  it('goes on to the rounds that are wanted now, where they are more or fewer', async () => {
    for (const [rounds, words] of Object.entries({ 4: /from round 3 of 4,/, 9: /from round 3 of 9,/ })) {
      const { outside, lines } = await moved({}, { FL_NUM_ROUNDS: rounds });
      expect(outside.handedOver).toMatchObject([{ from: '42/round-000003.npz' }]);
      expect(lines.join('\n')).toMatch(words);
    }
  });

  it('falls back on its checkpoints when it is interrupted before a new one', async () => {
    const all = await moved();
    await interrupt(all, '101');
    expect(all.outside.handedOver.at(-1)?.from).toBe('42/round-000003.npz');
  });

  it.each([
    [{ is_final: true }, {}, /has done all of its 5 rounds/],
    [{ num_rounds: 3 }, {}, /has done all of its 3 rounds/],
    [{}, { FL_NUM_ROUNDS: '3' }, /run 42 of before has done round 3, and FL_NUM_ROUNDS is 3 now/],
    [{ strategy: 'FedAdam' }, {}, /are of the strategy FedAdam, and FL_STRATEGY is FedAvg now/],
    [{}, { ML_FRAMEWORK: 'pytorch' }, /are of the framework sklearn, and ML_FRAMEWORK is pytorch now/],
    [{ app: 'other' }, {}, /run 41 of before has done all/],
    [{ sha256: '0'.repeat(64) }, {}, /no checkpoint of run 42 is sound/],
  ])('starts fresh, and says why: %o %o', async (changes, values, words) => {
    const { keeper, outside, lines } = await moved(changes, values);
    expect(outside.handedOver).toMatchObject([{ from: '' }]);
    expect(keeper.current()).toMatchObject({ continues: null, round: 0 });
    expect(lines.join('\n')).toMatch(words);
  });

  it('has an operator begin with the checkpoints of its runs, also of those that are done', async () => {
    const { keeper } = await moved();
    await expect(keeper.checkpoint('42', undefined)).resolves.toMatchObject({ runId: '42', round: 3 });
    await expect(keeper.checkpoint('41', 1)).resolves.toMatchObject({ runId: '41', round: 1 });
    await expect(keeper.checkpoint('41', 2)).rejects.toMatchObject({ code: 'checkpoint-unknown' });
    await expect(keeper.checkpoint('40', undefined)).rejects.toMatchObject({ code: 'run-unknown' });
  });

  it('lists the checkpoints of its runs', async () => {
    const { keeper } = await moved();
    await expect(keeper.checkpoints('42')).resolves.toMatchObject([{ round: 2 }, { round: 3 }]);
    await expect(keeper.checkpoints('40')).rejects.toMatchObject({ code: 'run-unknown' });
  });

  it('starts fresh where there is nothing', async () => {
    const { lines, outside } = await training();
    expect(outside.handedOver).toMatchObject([{ from: '' }]);
    expect(lines.join('\n')).toMatch(/Training starts fresh: there is no checkpoint of anomaly-detection from before/);
  });

  it('goes on once when its agent died while it was handed over', async () => {
    const all = await surroundings();
    await writeCheckpoint(checkpointFolder(all), '42', 3);
    all.outside.online = 2;
    all.outside.handingOver = new Promise(() => undefined);
    void (await all.open()).tick();
    await expect.poll(() => all.outside.submitted).toBe(1);
    all.outside.runs = [flowerRun({ runId: '500' })];
    await rm(join(checkpointFolder(all), '42'), { recursive: true });
    const next = await all.open();
    await next.tick();
    expect(all.outside.submitted).toBe(1);
    expect(next.find('500')).toMatchObject({ continues: '42', round: 3 });
  });
});
