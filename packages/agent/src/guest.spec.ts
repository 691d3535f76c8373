import { chmod, lstat, mkdir, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ensureFolder } from './guest.ts';
import { temporaryFolder } from './testing/temporary.ts';

describe('ensureFolder', () => {
  it('makes a folder and corrects its mode', async () => {
    const path = join(await temporaryFolder(), 'a/b');
    await ensureFolder(path, 0o700, undefined);
    await chmod(path, 0o777);
    await ensureFolder(path, 0o750, undefined);
    expect((await stat(path)).mode & 0o777).toBe(0o750);
  });

  it('never touches what a link leads to', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'elsewhere'), { mode: 0o755 });
    await symlink(join(folder, 'elsewhere'), join(folder, 'link'));
    await expect(ensureFolder(join(folder, 'link'), 0o700, undefined)).rejects.toMatchObject({
      code: 'state_write_failed',
    });
    expect((await lstat(join(folder, 'elsewhere'))).mode & 0o777).toBe(0o755);
  });
});
