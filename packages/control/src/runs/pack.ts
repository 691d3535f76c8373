import { lstat, readdir, readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { createGzip } from 'node:zlib';
import { OneFlowerError } from '@oneflower/contract';
import { type Pack, pack } from 'tar-stream';
import { isMissing } from '../files.ts';

/** An app's folder as one gzipped tar. */
export interface PackedApp {
  archive: Buffer;
  files: number;
}

/** Folders and files that are never part of an app. */
const excludedNames = new Set([
  '.git',
  '.hg',
  '.svn',
  '.venv',
  'venv',
  '__pycache__',
  'node_modules',
  '.mypy_cache',
  '.pytest_cache',
  '.ruff_cache',
  '.tox',
  '.DS_Store',
]);
const excludedEndings = ['.pyc', '.pyo', '.swp'];
/** Bytes of all files before they are packed. */
export const largestApp = 200 * 1024 * 1024;

/**
 * Packs a directory that `flwr run` takes. Version control, virtual environments, caches and symbolic links stay out.
 * The same files give the same archive.
 * @throws OneFlowerError `app-folder`, `app-too-large`.
 */
export async function packApp(folder: string): Promise<PackedApp> {
  const root = resolve(folder);
  await assertApp(root);
  const files = await listFiles(root);
  const total = files.reduce((sum, file) => sum + file.size, 0);
  if (total > largestApp) throw tooLarge(root, total);
  const tar = pack();
  const chunks: Buffer[] = [];
  const collected = (async () => {
    for await (const chunk of tar.pipe(createGzip())) chunks.push(chunk);
  })();
  for (const file of files) await addFile(tar, root, file.path);
  tar.finalize();
  await collected;
  return { archive: Buffer.concat(chunks), files: files.length };
}

async function assertApp(root: string): Promise<void> {
  const isFile = await lstat(join(root, 'pyproject.toml')).then(
    found => found.isFile(),
    error => {
      if (isMissing(error)) return false;
      throw error;
    },
  );
  if (isFile) return;
  throw new OneFlowerError({
    code: 'app-folder',
    message: `${root} is not a Flower app.`,
    reason: 'It has no pyproject.toml.',
    remedy: 'Give the directory that flwr run takes; flwr new makes one.',
    fault: 'user',
  });
}

interface FoundFile {
  path: string;
  size: number;
}

async function listFiles(folder: string): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (excludedNames.has(entry.name) || excludedEndings.some(ending => entry.name.endsWith(ending))) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...(await listFiles(path)));
    else if (entry.isFile()) found.push({ path, size: (await lstat(path)).size });
  }
  return found;
}

async function addFile(tar: Pack, root: string, path: string): Promise<void> {
  const content = await readFile(path);
  const header = { name: relative(root, path), size: content.length, mode: 0o644, mtime: new Date(0) };
  await new Promise<void>((done, fail) => tar.entry(header, content, error => (error ? fail(error) : done())));
}

function tooLarge(root: string, bytes: number): OneFlowerError {
  return new OneFlowerError({
    code: 'app-too-large',
    message: `${root} holds ${Math.round(bytes / 1024 / 1024)} MB; an app may have at most ${largestApp / 1024 / 1024} MB.`,
    reason: 'Data or models lie in the app folder.',
    remedy: 'Move them out: nodes read their data from their own data folder.',
    fault: 'user',
  });
}
