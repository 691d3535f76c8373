import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeFileAtomic } from './files.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-files-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
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
