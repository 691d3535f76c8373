import { OneFlowerError } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { flowerRun, interrupt, source, type World, world } from './testing.ts';

describe('an uploaded app', () => {
  async function uploaded(): Promise<World> {
    const all = await world({ FL_USE_CASE: 'none' });
    all.outside.online = 2;
    all.outside.runs = [flowerRun({ runId: '7', fabId: 'me/own' })];
    await all.keeper.add('7', { app: 'own', by: 'operator', source });
    return all;
  }

  it('is kept until its chain has ended', async () => {
    const all = await uploaded();
    await interrupt(all, '7');
    expect(all.outside.handedOver).toEqual([{ app: 'own', upload: source.upload, from: '' }]);
    expect(all.keeper.find('101')).toMatchObject({ app: 'own', submittedBy: 'operator', continues: '7' });
    expect(all.outside.uploads).toEqual([source.upload]);
    all.outside.runs = [flowerRun({ runId: '101', status: 'finished', subStatus: 'completed' })];
    await all.keeper.tick();
    expect(all.outside.uploads).toEqual([]);
  });

  it('that is gone ends the chain, and whoever follows it is told', async () => {
    const all = await uploaded();
    all.outside.refuse = new OneFlowerError({ code: 'app-gone', message: 'The app is no longer kept.' });
    await interrupt(all, '7');
    await all.keeper.tick();
    expect(all.outside.submitted).toBe(1);
    expect(all.keeper.find('7')).toMatchObject({ status: 'failed', resumes: false });
    expect(all.said('run_ended').map(({ data }) => data.resumes ?? false)).toEqual([true, false]);
  });

  it('is kept of three runs that did not complete', async () => {
    const all = await world({ FL_USE_CASE: 'none' });
    for (let run = 1; run <= 5; run++) {
      all.outside.runs = [flowerRun({ runId: String(run), status: 'finished', subStatus: 'stopped' })];
      const upload = `upload-00000000000${run}`;
      await all.keeper.add(String(run), { app: 'own', by: 'operator', source: { ...source, upload } });
      await all.keeper.tick();
    }
    expect(all.outside.uploads).toEqual([3, 4, 5].map(run => `upload-00000000000${run}`));
  });

  it('waits for as many nodes as it says itself', async () => {
    const all = await world({ FL_USE_CASE: 'none' });
    Object.assign(all.outside, { online: 2, runs: [flowerRun({ runId: '7' })] });
    await all.keeper.add('7', { app: 'own', by: 'operator', source: { ...source, leastNodes: 3 } });
    await interrupt(all, '7');
    expect(all.keeper.waitingFor()).toMatch(/once 3 SuperNodes are online; 2 are/);
  });
});
