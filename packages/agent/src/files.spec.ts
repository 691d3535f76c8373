import { chmod, chown, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureFolder, removeHandedOver, writeFileAtomic } from './files.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-files-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('ensureFolder', () => {
  it('leaves the folders on the way open to others', async () => {
    const path = join(folder, 'srv', 'checkpoints');
    await ensureFolder(path, 0o700, undefined);
    expect((await stat(join(path, '..'))).mode & 0o777).toBe(0o755);
    expect((await stat(path)).mode & 0o777).toBe(0o700);
  });

  it('makes a folder and corrects its mode', async () => {
    const path = join(folder, 'a/b');
    await ensureFolder(path, 0o700, undefined);
    await chmod(path, 0o777);
    await ensureFolder(path, 0o750, undefined);
    expect((await stat(path)).mode & 0o777).toBe(0o750);
  });

  it.each(['elsewhere', 'absent'])('never touches what a link leads to, and says that it is one: %s', async target => {
    const link = join(folder, 'link');
    await mkdir(join(folder, 'elsewhere'), { mode: 0o755 });
    await symlink(join(folder, target), link);
    await expect(ensureFolder(link, 0o700, undefined)).rejects.toMatchObject({
      code: 'state_write_failed',
      message: `${link} is a symbolic link, and the agent needs a folder there.`,
      remedy: expect.stringContaining(`rm ${link}`),
      fault: 'user',
    });
    expect((await lstat(join(folder, 'elsewhere'))).mode & 0o777).toBe(0o755);
    expect(await readdir(folder)).toEqual(['elsewhere', 'link']);
  });

  it('says that a file is in its place, and what else stands in the way of it', async () => {
    const file = join(folder, 'file');
    await writeFile(file, '');
    await expect(ensureFolder(file, 0o700, undefined)).rejects.toThrow(`${file} is no folder`);
    await expect(ensureFolder(join(file, 'sub'), 0o700, undefined)).rejects.toThrow(
      /Cannot write .*file already exists/,
    );
  });
});

describe('removeHandedOver', () => {
  /** Where tests do not run as root nothing can be handed over: then this is the user itself. */
  const own = process.getuid?.() ?? 0;
  const other = own === 0 ? { uid: 65_534, gid: 65_534 } : { uid: own, gid: process.getgid?.() ?? 0 };

  async function handedOver(): Promise<string> {
    await chmod(folder, 0o711);
    const app = join(folder, 'app');
    await mkdir(join(app, 'sub'), { recursive: true });
    await writeFile(join(app, 'sub/a.py'), '');
    for (const path of [join(app, 'sub/a.py'), join(app, 'sub'), app]) await chown(path, other.uid, other.gid);
    return app;
  }

  it('removes a folder with all that is in it, and none', async () => {
    const app = await handedOver();
    await removeHandedOver(app, other);
    await removeHandedOver(app, other);
    await expect(readdir(folder)).resolves.toEqual([]);
  });

  it.runIf(own === 0)('removes nothing that its owner could not remove', async () => {
    const app = await handedOver();
    await mkdir(join(app, 'of-root'), { mode: 0o700 });
    await writeFile(join(app, 'of-root/key'), '');
    await expect(removeHandedOver(app, other)).rejects.toMatchObject({ code: 'ENOTEMPTY' });
    await expect(readdir(app)).resolves.toEqual(['of-root']);
    await expect(readdir(join(app, 'of-root'))).resolves.toEqual(['key']);
  });
});

describe('writeFileAtomic', () => {
  it('replaces content and permissions and leaves nothing else behind', async () => {
    const path = join(folder, 'state.json');
    await writeFileAtomic(path, 'old', { mode: 0o644 });
    await writeFileAtomic(path, 'new', { mode: 0o600 });
    expect(await readFile(path, 'utf8')).toBe('new');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['state.json']);
  });

  it('sets the owner that is asked for', async () => {
    const path = join(folder, 'owned');
    const uid = process.getuid?.() ?? 0;
    const owner = uid === 0 ? { uid: 4321, gid: 4322 } : { uid, gid: process.getgid?.() ?? 0 };
    await writeFileAtomic(path, 'x', { mode: 0o640, owner });
    expect(await stat(path)).toMatchObject(owner);
  });

  it('gives a permission wider than the umask exactly', async () => {
    const before = process.umask(0o077);
    try {
      await writeFileAtomic(join(folder, 'public'), 'x', { mode: 0o644 });
    } finally {
      process.umask(before);
    }
    expect((await stat(join(folder, 'public'))).mode & 0o777).toBe(0o644);
  });

  it('reports a folder that cannot be written, and keeps the old content', async () => {
    const write = writeFileAtomic(join(folder, 'absent', 'state.json'), 'x', { mode: 0o600 });
    await expect(write).rejects.toMatchObject({ code: 'state_write_failed' });
  });

  it('reports a file system that takes no new file', async () => {
    await expect(writeFileAtomic('/proc/self/state.json', 'x', { mode: 0o600 })).rejects.toMatchObject({
      code: 'state_write_failed',
    });
  });
});
