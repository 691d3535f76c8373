import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OneFlowerError } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { checkpointed, flowerRun, source, training, type World } from './testing.ts';

describe('a run that an operator resumes', () => {
  async function stopped(): Promise<World> {
    const all = await training();
    for (const round of [1, 2, 3]) await checkpointed(all, '101', round);
    all.outside.runs = [flowerRun({ runId: '101', status: 'finished', subStatus: 'stopped' })];
    await all.keeper.tick();
    return all;
  }

  it('goes on from its last checkpoint, or from the one that is named', async () => {
    const all = await stopped();
    await expect(all.keeper.resume('101', undefined)).resolves.toMatchObject({ runId: '102', continues: '101' });
    expect(all.outside.handedOver.at(-1)?.from).toBe('101/round-000003.npz');
    await expect(all.keeper.resume('101', 1)).resolves.toMatchObject({ runId: '103', checkpoint: 1 });
    expect(all.outside.handedOver.at(-1)?.from).toBe('101/round-000001.npz');
    await expect(all.keeper.checkpoints('103')).resolves.toMatchObject([{ round: 1 }]);
  });

  it('keeps the checkpoints that the run in its place has no copy of', async () => {
    const all = await training();
    for (const round of [1, 5]) await checkpointed(all, '101', round, { is_final: round === 5 });
    all.outside.runs = [flowerRun({ runId: '101', status: 'finished', subStatus: 'completed' })];
    await all.keeper.tick();
    await all.keeper.resume('101', 1);
    await checkpointed(all, '102', 5, { is_final: true });
    all.outside.runs = [flowerRun({ runId: '102', status: 'finished', subStatus: 'completed' })];
    await all.keeper.tick();
    expect(all.keeper.find('102')).toMatchObject({ status: 'completed' });
    await expect(all.keeper.checkpoints('101')).resolves.toMatchObject([{ round: 1 }, { round: 5 }]);
  });

  it('is refused with the reason', async () => {
    const all = await stopped();
    await expect(all.keeper.resume('9', undefined)).rejects.toMatchObject({ code: 'run-unknown' });
    await expect(all.keeper.resume('101', 4)).rejects.toMatchObject({
      code: 'checkpoint-unknown',
      reason: 'There are those of the rounds 1, 2, 3.',
    });
    await all.keeper.resume('101', undefined);
    await expect(all.keeper.resume('102', undefined)).rejects.toThrow('it has not ended');
    await expect(all.keeper.resume('101', undefined)).rejects.toMatchObject({
      message: expect.stringContaining('run 102 goes on in its place'),
      remedy: expect.stringContaining('--checkpoint ROUND'),
    });
    await checkpointed(all, '102', 5, { is_final: true });
    all.outside.runs = [flowerRun({ runId: '102', status: 'finished', subStatus: 'completed' })];
    await all.keeper.tick();
    await expect(all.keeper.resume('102', 5)).rejects.toThrow('it has done all of its rounds');
    await expect(all.keeper.resume('102', undefined)).rejects.toMatchObject({
      message: expect.stringContaining('it has done all of its rounds'),
      remedy: expect.stringContaining('--from 102'),
    });
  });

  it('is not tried again by itself when Flower refuses it', async () => {
    const all = await stopped();
    all.outside.refuse = new Error('bad app');
    await expect(all.keeper.resume('101', undefined)).rejects.toThrow('bad app');
    all.outside.refuse = undefined;
    for (let look = 0; look < 3; look++) await all.keeper.tick();
    expect(all.outside.submitted).toBe(2);
    expect(all.keeper.find('101')).toMatchObject({ status: 'stopped', resumes: false });
    expect(await byHand(all)).not.toContain(true);
  });

  it('is not taken for one that goes on by hand when its app is gone', async () => {
    const all = await stopped();
    all.outside.refuse = new OneFlowerError({ code: 'app-gone', message: 'The app is no longer kept.' });
    await expect(all.keeper.resume('101', undefined)).rejects.toMatchObject({ code: 'app-gone' });
    expect(await byHand(all)).not.toContain(true);
  });

  it('is told from those that cannot be resumed', async () => {
    const all = await training();
    expect(all.keeper.find('101')).toMatchObject({ resumable: false });
    all.outside.runs = ['101', '7', '8', '9'].map(runId =>
      flowerRun({ runId, status: 'finished', subStatus: runId === '9' ? 'completed' : 'stopped' }),
    );
    await all.keeper.add('8', { app: 'own', by: 'operator', source: { ...source, resumable: 'undeclared' } });
    await all.keeper.add('9', { app: 'own', by: 'operator', source });
    await all.keeper.tick();
    const told = ['101', '7', '8', '9'].map(runId => all.keeper.find(runId)?.resumable);
    expect(told).toEqual([true, false, false, false]);
    await expect(all.keeper.resume('7', undefined)).rejects.toThrow('it was not submitted through OneFlower');
    expect(await byHand(all)).not.toContain(true);
  });

  /** What is on disk of each run, once another one was remembered. */
  async function byHand({ keeper, layout }: World): Promise<boolean[]> {
    await keeper.add('900', { app: 'other', by: 'operator', source });
    const { runs } = JSON.parse(await readFile(join(layout.state, 'runs.json'), 'utf8'));
    return runs.map(({ resumeByHand }: { resumeByHand: boolean }) => resumeByHand);
  }
});
