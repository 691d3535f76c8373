import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OneFlowerError } from '@oneflower/contract';
import { execa } from 'execa';
import type { Python } from './python.ts';

/** Says what long work is under way, one sentence each. */
export type Notify = (message: string) => void;

/**
 * A virtual environment that holds exactly what the lock files name, made once for each content of them and shared
 * by everything on the machine. Interrupted work leaves nothing that looks finished.
 * @returns the environment's folder.
 * @throws OneFlowerError `python-packages` with what pip said.
 */
export async function ensureEnvironment(options: {
  folder: string;
  python: Python;
  lockFiles: string[];
  notify: Notify;
}): Promise<string> {
  const { folder, python, lockFiles, notify } = options;
  const hash = createHash('sha256').update(python.release).update(python.file);
  for (const file of lockFiles) hash.update(await readFile(file));
  const name = `python${python.release}-${hash.digest('hex').slice(0, 12)}`;
  const environment = join(folder, name);
  const finished = join(environment, '.finished');
  if (existsSync(finished)) return environment;

  notify(`Installing the locked Python packages into ${environment} (once, about a minute)`);
  await mkdir(folder, { recursive: true, mode: 0o755 });
  await rm(environment, { recursive: true, force: true });
  await execute(python.file, ['-m', 'venv', environment]);
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check', '--no-deps'];
  for (const file of lockFiles) await execute(join(environment, 'bin', 'python'), [...pip, '--requirement', file]);
  await writeFile(`${finished}.new`, '');
  await rename(`${finished}.new`, finished);
  return environment;
}

async function execute(file: string, args: string[]): Promise<void> {
  const { exitCode, all } = await execa(file, args, { all: true, reject: false, stdin: 'ignore' });
  if (exitCode === 0) return;
  throw new OneFlowerError({
    code: 'python-packages',
    message: `The Python environment could not be made: ${[file, ...args].join(' ')} ended with ${exitCode ?? 'a signal'}.`,
    reason: `It said: ${(all ?? '').trim().split('\n').slice(-5).join(' ')}`,
    remedy: 'Check that the package registry can be reached and that there is disk space, then run the command again.',
  });
}
