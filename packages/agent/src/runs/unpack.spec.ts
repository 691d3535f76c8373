import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../testing/temporary.ts';
import { unpackArchive } from './unpack.ts';

async function archiveOf(entries: (Partial<Header> & { name: string; text?: string })[]): Promise<Readable> {
  const tar = pack();
  for (const { text, ...header } of entries) tar.entry(header, text ?? '');
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar) parts.push(part as Buffer);
  return Readable.from([gzipSync(Buffer.concat(parts))]);
}

describe('unpackArchive', () => {
  it('unpacks files and folders', async () => {
    const folder = await temporaryFolder();
    const archive = await archiveOf([
      { name: './', type: 'directory' },
      { name: './pyproject.toml', text: '[project]' },
      { name: 'app/sub/client.py', text: 'x = 1' },
    ]);
    await unpackArchive(archive, folder);
    await expect(readFile(join(folder, 'pyproject.toml'), 'utf8')).resolves.toBe('[project]');
    await expect(readFile(join(folder, 'app/sub/client.py'), 'utf8')).resolves.toBe('x = 1');
  });

  it.each<[string, Partial<Header> & { name: string }]>([
    ['leads out of the folder', { name: '../evil' }],
    ['leads out of the folder', { name: 'app/../../evil' }],
    ['is no relative path', { name: '/etc/passwd' }],
    ['is a symlink', { name: 'link', type: 'symlink', linkname: '/etc/passwd' }],
    ['is a link', { name: 'link', type: 'link', linkname: 'pyproject.toml' }],
    ['is a character-device', { name: 'null', type: 'character-device' }],
    ['is a fifo', { name: 'pipe', type: 'fifo' }],
  ])('refuses an entry that %s: %j', async (words, header) => {
    const folder = await temporaryFolder();
    const archive = await archiveOf([header]);
    await expect(unpackArchive(archive, folder)).rejects.toMatchObject({
      code: 'archive-refused',
      message: expect.stringContaining(words),
    });
    await expect(readdir(folder)).resolves.toEqual([]);
  });

  it('refuses too many entries and too many bytes', async () => {
    const many = Array.from({ length: 6 }, (_, index) => ({ name: `f${index}`, text: 'x'.repeat(100) }));
    const limits = { entries: 5, bytes: 1_000_000 };
    await expect(unpackArchive(await archiveOf(many), await temporaryFolder(), limits)).rejects.toThrow('more than 5');
    const small = { entries: 100, bytes: 300 };
    await expect(unpackArchive(await archiveOf(many), await temporaryFolder(), small)).rejects.toThrow('300 bytes');
  });

  it('refuses the same file twice', async () => {
    const twice = await archiveOf([
      { name: 'a', text: '1' },
      { name: 'a', text: '2' },
    ]);
    await expect(unpackArchive(twice, await temporaryFolder())).rejects.toMatchObject({ code: 'archive-refused' });
  });

  it.each([Buffer.from('no gzip'), gzipSync('no tar'.repeat(200)), gzipSync('x').subarray(0, 10)])(
    'refuses what is no gzipped tar',
    async bytes => {
      const folder = await temporaryFolder();
      await expect(unpackArchive(Readable.from([bytes]), folder)).rejects.toMatchObject({ code: 'archive-refused' });
    },
  );
});
