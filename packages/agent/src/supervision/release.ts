import { spawn } from 'node:child_process';
import { access, constants, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, defaultFlowerVersion, messageOf } from '@oneflower/contract';
import { failure } from '../failure.ts';
import type { Layout } from '../layout.ts';
import type { Log } from '../log/log.ts';

/** A Flower release that can run. */
export interface FlowerRelease {
  version: string;
  bin: string;
}

export interface ReleaseSurroundings {
  layout: Layout;
  log: Log;
  clock: Clock;
}

/**
 * The release to run: the one wanted where it is there or can be installed, else the baked one with one warning.
 * The caller cuts an installation off by `signal`.
 *
 * @throws OneFlowerError `flower_start_failed` when not even the baked one is there.
 */
export async function resolveRelease(
  wanted: string,
  surroundings: ReleaseSurroundings,
  signal: AbortSignal,
): Promise<FlowerRelease> {
  const { layout, log } = surroundings;
  const baked = await releaseIn(layout.software.versions, defaultFlowerVersion);
  const found = await releaseIn(layout.software.versions, wanted);
  if (found) return found;
  if (!baked) {
    const message = `Flower ${defaultFlowerVersion} is not in ${layout.software.versions}.`;
    throw failure('flower_start_failed', message, {
      reason: 'The image, or the folder given with --software, is incomplete.',
      remedy: 'Use a complete image, or correct --software.',
      fault: 'user',
    });
  }
  try {
    return (await installed(layout, wanted)) ?? (await install(wanted, baked, surroundings, signal));
  } catch (error) {
    signal.throwIfAborted();
    await rm(join(layout.versions, wanted), { recursive: true, force: true });
    log.warning(`Flower ${wanted} cannot be installed (${messageOf(error)}): ${baked.version} runs instead.`);
    return baked;
  }
}

const marker = 'complete';
/** Longest time that an installation may take before the baked release runs instead. */
const installMs = 240_000;

async function releaseIn(folder: string, version: string): Promise<FlowerRelease | undefined> {
  const bin = join(folder, version, 'bin');
  const usable = await access(join(bin, 'flower-superlink'), constants.X_OK).then(
    () => true,
    () => false,
  );
  return usable ? { version, bin } : undefined;
}

/** A release whose installation was finished: one that a power cut has interrupted is not there. */
async function installed(layout: Layout, version: string): Promise<FlowerRelease | undefined> {
  const finished = await access(join(layout.versions, version, marker)).then(
    () => true,
    () => false,
  );
  return finished ? releaseIn(layout.versions, version) : undefined;
}

async function install(
  version: string,
  baked: FlowerRelease,
  { layout, log, clock }: ReleaseSurroundings,
  signal: AbortSignal,
): Promise<FlowerRelease> {
  const target = join(layout.versions, version);
  log.info(`Flower ${version} is not baked in: installing it beside ${baked.version}.`);
  await rm(target, { recursive: true, force: true });
  await rm(temporaryOf(layout), { recursive: true, force: true });
  await mkdir(temporaryOf(layout), { recursive: true, mode: 0o755 });
  const cut = new AbortController();
  const timer = clock.after(installMs, () => cut.abort());
  const limit = AbortSignal.any([signal, cut.signal]);
  const pip = ['-m', 'pip', 'install', '--no-cache-dir', '--disable-pip-version-check', '--quiet'];
  try {
    await execute(join(baked.bin, 'python'), ['-m', 'venv', target], layout, limit);
    await execute(join(target, 'bin/python'), [...pip, `flwr==${version}`], layout, limit);
  } finally {
    timer.cancel();
    await rm(temporaryOf(layout), { recursive: true, force: true });
  }
  await shareLibraries(target, baked);
  await writeFile(join(target, marker), '');
  const release = await releaseIn(layout.versions, version);
  if (!release) throw new Error('the package holds no flower-superlink');
  return release;
}

function temporaryOf(layout: Layout): string {
  return join(layout.versions, 'tmp');
}

/** What the apps import (scikit-learn and the like) comes from the baked environment, after the release's own. */
async function shareLibraries(target: string, baked: FlowerRelease): Promise<void> {
  const own = await sitePackages(target);
  const shared = await sitePackages(join(baked.bin, '..'));
  await writeFile(join(own, 'oneflower-shared.pth'), `${shared}\n`);
}

async function sitePackages(environment: string): Promise<string> {
  const lib = join(environment, 'lib');
  const python = (await readdir(lib)).find(name => name.startsWith('python3'));
  if (!python) throw new Error(`there is no Python in ${environment}`);
  return join(lib, python, 'site-packages');
}

async function execute(file: string, args: string[], layout: Layout, signal: AbortSignal): Promise<void> {
  const passed = Object.entries(process.env).filter(([name]) => /^(pip_\w+|https?_proxy|no_proxy)$/i.test(name));
  const env = {
    ...Object.fromEntries(passed),
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: layout.state,
    // Not Flower's user's: what is unpacked there is run and installed as root.
    TMPDIR: temporaryOf(layout),
  };
  await new Promise<void>((resolve, reject) => {
    const child = spawn(file, args, { env, cwd: layout.state, stdio: ['ignore', 'ignore', 'pipe'], signal });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-500);
    });
    child.once('error', error => reject(signal.aborted ? new Error('it took too long') : error));
    child.once('exit', code => {
      if (code === 0) resolve();
      else reject(new Error(said.trim().split('\n').at(-1) || `exit code ${code}`));
    });
  });
}
