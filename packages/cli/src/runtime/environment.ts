import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, statfs, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Clock, OneFlowerError, systemClock } from '@oneflower/contract';
import { type FileLock, lockFile } from './lock.ts';
import { createPip, type Pip, type PipSource } from './pip.ts';
import type { Python } from './python.ts';

/** Says what long work is under way, one sentence each. */
export type Notify = (message: string) => void;

/** What an environment holds, and what making it takes. */
export interface Contents {
  /** Names it in sentences, such as `PyTorch`. */
  title: string;
  /** Installed one after the other. */
  lockFiles: readonly string[];
  /** What is fetched and what lies on the disk then, in MB. */
  megabytes: { download: number; unpacked: number };
  /** Modules that can be imported when all went well. */
  modules: readonly string[];
  /** A package index that is asked too where pip is not set up to use another than PyPI. */
  index?: string;
}

export interface EnvironmentRequest {
  /** Folder of the environments of this machine. */
  folder: string;
  python: Python;
  contents: Contents;
  notify: Notify;
  clock?: Clock;
}

/** Where the environment of a content lies, whether it was made or not: content and Python give its name. */
export async function environmentOf({ folder, python, contents }: EnvironmentRequest): Promise<string> {
  const hash = createHash('sha256').update(python.release).update(python.file);
  for (const file of contents.lockFiles) hash.update(await readFile(file));
  return join(folder, `python${python.release}-${hash.digest('hex').slice(0, 12)}`);
}

/** Whether an environment was made to the end. */
export function isFinished(environment: string): boolean {
  return existsSync(finishedMark(environment));
}

/**
 * A virtual environment that holds exactly what the lock files name, made once for each content of them and shared
 * by everything on the machine: of two that want it, one makes it and the other waits. Interrupted work leaves nothing
 * that looks finished.
 * @returns the environment's folder.
 * @throws OneFlowerError `disk-space`, or `python-packages` with what pip said.
 */
export async function ensureEnvironment(request: EnvironmentRequest): Promise<string> {
  const { folder, contents, notify } = request;
  const environment = await environmentOf(request);
  if (isFinished(environment)) return environment;
  await mkdir(folder, { recursive: true, mode: 0o755 });
  const lock = await lockFile(join(folder, `.${basename(environment)}.lock`), () =>
    notify(`Another command is installing ${contents.title}: waiting for it`),
  );
  try {
    if (!isFinished(environment)) await make(environment, request, lock);
  } finally {
    await lock.release();
  }
  return environment;
}

async function make(environment: string, request: EnvironmentRequest, lock: FileLock): Promise<void> {
  const { folder, python, contents, notify, clock = systemClock } = request;
  await rm(environment, { recursive: true, force: true });
  await checkSpace(folder, contents);
  const { title, megabytes } = contents;
  const [download, unpacked] = [megabytes.download, megabytes.unpacked].map(inWords);
  notify(
    `Installing ${title} once for this machine: about ${download} to fetch, ${unpacked} in ${environment}; this takes some minutes`,
  );
  const began = clock.now();
  const temporary = `${environment}.tmp`;
  await mkdir(temporary, { recursive: true, mode: 0o700 });
  try {
    const pip = createPip({ environment, temporary, title, unpacked: megabytes.unpacked, lock, notify, clock });
    await pip.makeEnvironment(python.file);
    for (const file of contents.lockFiles) await pip.install(await sourceOf(file, contents, pip));
    await pip.check(contents.modules);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  await writeFile(`${finishedMark(environment)}.new`, '');
  await rename(`${finishedMark(environment)}.new`, finishedMark(environment));
  notify(`${title} is installed after ${Math.round((clock.now() - began) / 1000)} s`);
}

async function sourceOf(file: string, { index }: Contents, pip: Pip): Promise<PipSource> {
  const packages = (await readFile(file, 'utf8')).split('\n').filter(line => line.includes('==')).length;
  const own = index !== undefined && !(await pip.hasOwnSources());
  return { file, packages, index: own ? index : undefined };
}

async function checkSpace(folder: string, { title, megabytes }: Contents): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = (bavail * bsize) / 1_000_000;
  const needed = megabytes.download + megabytes.unpacked;
  if (free >= needed) return;
  throw new OneFlowerError({
    code: 'disk-space',
    message: `${title} needs about ${inWords(needed)} in ${folder}, and ${inWords(free)} are free.`,
    reason: 'Its packages are fetched and unpacked there, once for this machine.',
    remedy: 'Free space, or set ONEFLOWER_HOME to a folder on a larger disk, then run the command again.',
  });
}

function inWords(megabytes: number): string {
  return megabytes < 1000 ? `${Math.round(megabytes)} MB` : `${(megabytes / 1000).toFixed(1)} GB`;
}

function finishedMark(environment: string): string {
  return join(environment, '.finished');
}
