import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkReachable, checkReadable } from './data-folder.ts';
import { temporaryFolder } from './testing/temporary.ts';

const never = new AbortController().signal;
/** Somebody who may read less than the one who runs the tests: another user where that is root. */
const owner = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined;

async function openFolder(): Promise<string> {
  const folder = await temporaryFolder();
  await chmod(folder, 0o755);
  return folder;
}

describe('checkReadable', () => {
  it('is content with data that Flower can read, and with none', async () => {
    const folder = await openFolder();
    await checkReadable(folder, owner, never);
    await writeFile(join(folder, 'rows.csv'), '1,2\n', { mode: 0o644 });
    await checkReadable(folder, owner, never);
  });

  it.each([
    ['a file', 'rows.csv'],
    ['a folder', 'part'],
  ])('names %s that Flower cannot read', async (_, name) => {
    const folder = await openFolder();
    const path = join(folder, name);
    if (name === 'part') await mkdir(path, { mode: 0o000 });
    else await writeFile(path, '1,2\n', { mode: 0o000 });
    await expect(checkReadable(folder, owner, never)).rejects.toMatchObject({
      code: 'data_unreadable',
      message: expect.stringContaining(path),
    });
    if (name === 'part') await chmod(path, 0o700);
  });

  it('names a folder that is not there', async () => {
    await expect(checkReadable('/no/such/folder', owner, never)).rejects.toMatchObject({ code: 'data_unreadable' });
  });
});

describe('checkReachable', () => {
  it('tells a folder that is open from one below a closed one', async () => {
    const folder = await openFolder();
    await mkdir(join(folder, 'closed/inner'), { recursive: true });
    await checkReachable(join(folder, 'closed/inner'), owner);
    await chmod(join(folder, 'closed'), 0o700);
    // Without root there is only one user, who may get everywhere that is his.
    if (!owner) return;
    await expect(checkReachable(join(folder, 'closed/inner'), owner)).rejects.toMatchObject({
      code: 'state_write_failed',
      message: expect.stringContaining('cannot get into'),
    });
  });
});
