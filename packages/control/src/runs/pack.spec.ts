import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { packApp } from './pack.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oneflower-pack-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function put(path: string, text = path): Promise<void> {
  await mkdir(join(folder, path, '..'), { recursive: true });
  await writeFile(join(folder, path), text);
}

async function filesOf(archive: Buffer): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for await (const entry of Readable.from([archive]).pipe(createGunzip()).pipe(extract())) {
    let text = '';
    for await (const chunk of entry) text += chunk;
    files[entry.header.name] = text;
  }
  return files;
}

it('an app is packed whole, without what is no part of it', async () => {
  await put('pyproject.toml', '[project]');
  await put('app/server.py', 'x'.repeat(100_000));
  await put('app/.hidden', 'kept');
  for (const junk of ['.git/config', '.venv/bin/python', 'app/__pycache__/a.pyc', 'node_modules/a/b.js', 'app/b.pyc']) {
    await put(junk);
  }
  await symlink('/etc/passwd', join(folder, 'app', 'passwd'));
  const { archive, files } = await packApp(folder);
  expect(files).toBe(3);
  expect(await filesOf(archive)).toEqual({
    'pyproject.toml': '[project]',
    'app/server.py': 'x'.repeat(100_000),
    'app/.hidden': 'kept',
  });
});

it('the same files give the same archive', async () => {
  await put('pyproject.toml');
  await put('a.py');
  expect((await packApp(folder)).archive).toEqual((await packApp(folder)).archive);
});

it.each(['', 'missing'])('a folder without pyproject.toml (%j) is refused', async name => {
  await expect(packApp(join(folder, name))).rejects.toMatchObject({ code: 'app-folder' });
});
