import { chown, mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { prepareCheckpoints } from './checkpoints-folder.ts';
import { temporaryFolder } from './testing/temporary.ts';

const isRoot = process.getuid?.() === 0;
const nobody = isRoot ? { uid: 65534, gid: 65534 } : undefined;

async function folderWith(...entries: string[]): Promise<string> {
  const folder = join(await temporaryFolder(), 'checkpoints');
  await mkdir(folder);
  for (const name of entries) await writeFile(join(folder, name), '');
  return folder;
}

describe('the folder of the checkpoints', () => {
  it("is made, for Flower's user alone", async () => {
    const folder = join(await temporaryFolder(), 'mnt/disk/checkpoints');
    await prepareCheckpoints(folder, nobody);
    const { mode, uid } = await stat(folder);
    expect([mode & 0o777, uid]).toEqual([0o700, nobody?.uid ?? process.getuid?.()]);
  });

  it('may be the mount point of a disk, empty or with checkpoints of an earlier VM', async () => {
    const folder = await folderWith('lost+found', '18446744073709551615');
    await prepareCheckpoints(folder, nobody);
    expect((await stat(folder)).uid).toBe(nobody?.uid ?? process.getuid?.());
  });

  it.runIf(isRoot)('is never a folder that holds other things', async () => {
    const folder = await folderWith('passwd');
    await expect(prepareCheckpoints(folder, nobody)).rejects.toMatchObject({
      code: 'state_write_failed',
      message: expect.stringMatching(/FL_CHECKPOINT_PATH.*"passwd"/),
      fault: 'user',
    });
    expect((await stat(folder)).uid).toBe(0);
  });

  it('is never a folder of the agent, not even an empty one', async () => {
    const folder = await folderWith();
    const before = await stat(folder);
    await expect(prepareCheckpoints(`${folder}/`, nobody, [folder])).rejects.toMatchObject({
      ...{ code: 'state_write_failed', message: expect.stringContaining('FL_CHECKPOINT_PATH'), fault: 'user' },
    });
    const { mode, uid } = await stat(folder);
    expect([mode, uid]).toEqual([before.mode, before.uid]);
  });

  it("may hold what it likes once it is Flower's", async () => {
    const folder = await folderWith('notes');
    if (nobody) await chown(folder, nobody.uid, nobody.gid);
    await expect(prepareCheckpoints(folder, nobody)).resolves.toBeUndefined();
  });
});
