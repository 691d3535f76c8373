import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../testing/temporary.ts';
import {
  checkpointDetails,
  openCheckpoint,
  readCheckpoints,
  runsWithCheckpoints,
  verifyCheckpoint,
} from './checkpoints.ts';
import { writeCheckpoint } from './testing.ts';

async function rounds(root: string, runId = '7'): Promise<number[]> {
  return (await readCheckpoints(root, runId)).map(({ round }) => round);
}

describe('checkpoints', () => {
  it('are read in the order of their rounds, and are sound', async () => {
    const root = await temporaryFolder();
    for (const round of [10, 9, 2]) await writeCheckpoint(root, '7', round, { of_the_future: true });
    expect(await rounds(root)).toEqual([2, 9, 10]);
    expect(await runsWithCheckpoints(root)).toEqual(['7']);
    for (const checkpoint of await readCheckpoints(root, '7')) await verifyCheckpoint(root, checkpoint);
  });

  it.each([
    ['another format', { format: 2 }],
    ['a file elsewhere', { file: '../8/round-000001.npz' }],
    ['a hidden file', { file: '.npz' }],
    ['no file of arrays', { file: 'round-000001.pkl' }],
    ['a checksum that is none', { sha256: '$(id)' }],
    ['a round that is none', { round: -1 }],
    ['metrics that are none', { metrics: { loss: 'low' } }],
    ['no time', { saved_at: 'yesterday' }],
  ])('with %s are none', async (_, changes) => {
    const root = await temporaryFolder();
    await writeCheckpoint(root, '7', 1, changes);
    expect(await rounds(root)).toEqual([]);
  });

  it.each(['', '{', 'null', '[]', '{"format": 1}'])('are not made of %j', async text => {
    const root = await temporaryFolder();
    await writeCheckpoint(root, '7', 1);
    await writeFile(join(root, '7/round-000002.json'), text);
    expect(await rounds(root)).toEqual([1]);
  });

  it('do not keep in memory what an app fills their manifests with', async () => {
    const root = await temporaryFolder();
    const filling = { history: ['x'.repeat(1000)], details: { x: 'x'.repeat(1000) } };
    await writeCheckpoint(root, '7', 1, filling);
    const [checkpoint] = await readCheckpoints(root, '7');
    expect(JSON.stringify(checkpoint).length).toBeLessThan(1000);
    if (!checkpoint) throw new Error('no checkpoint');
    expect(await checkpointDetails(root, checkpoint)).toMatchObject(filling);
    const many = Object.fromEntries(Array.from({ length: 1001 }, (_, index) => [`m${index}`, 1]));
    await writeCheckpoint(root, '7', 2, { metrics: many });
    expect(await rounds(root)).toEqual([1]);
  });

  it('are none without a folder, or with an id that is none', async () => {
    const root = await temporaryFolder();
    await writeCheckpoint(root, '7', 1);
    for (const runId of ['8', '', '.', '..', '../7', '7/', '7'.repeat(21)])
      expect(await rounds(root, runId)).toEqual([]);
    expect(await rounds(join(root, 'absent'))).toEqual([]);
  });

  it('are never read through links', async () => {
    const root = await temporaryFolder();
    await writeCheckpoint(root, '7', 1);
    await symlink(join(root, '7'), join(root, '8'));
    expect(await rounds(root, '8')).toEqual([]);
    await mkdir(join(root, '9'));
    await symlink(join(root, '7/round-000001.json'), join(root, '9/round-000001.json'));
    expect(await rounds(root, '9')).toEqual([]);
    const [checkpoint] = await readCheckpoints(root, '7');
    await rename(join(root, '7/round-000001.npz'), join(root, '7/elsewhere'));
    await symlink('elsewhere', join(root, '7/round-000001.npz'));
    if (!checkpoint) throw new Error('no checkpoint');
    await expect(openCheckpoint(root, checkpoint)).rejects.toMatchObject({ code: 'checkpoint-damaged' });
    await rm(join(root, '7/round-000001.npz'));
    await mkdir(join(root, '7/round-000001.npz'));
    await expect(openCheckpoint(root, checkpoint)).rejects.toMatchObject({ code: 'checkpoint-damaged' });
  });
});
