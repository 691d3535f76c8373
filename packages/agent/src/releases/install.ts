import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { environmentName } from '@oneflower/contract';
import type { Installer } from './installer.ts';
import { type FlowerRelease, finishedMark, releaseIn, type Wanted } from './release.ts';

/**
 * Installs a release into a folder of environments.
 *
 * @throws Error with what Python or pip said; what is there then is not whole.
 */
export async function install(
  wanted: Wanted,
  installer: Installer,
  versions: string,
  signal: AbortSignal,
): Promise<FlowerRelease> {
  const name = environmentName(wanted.version, wanted.framework);
  const target = join(versions, name);
  // Not where Flower's user may write: what is unpacked there is run and installed as root.
  const temporary = join(versions, `.${name}.tmp`);
  await rm(target, { recursive: true, force: true });
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true, mode: 0o700 });
  const pip = ['-m', 'pip', 'install', '--no-cache-dir', '--disable-pip-version-check', '--quiet'];
  try {
    await installer.execute(join(installer.baked.bin, 'python'), ['-m', 'venv', target], temporary, signal);
    await installer.execute(join(target, 'bin/python'), [...pip, `flwr==${wanted.version}`], temporary, signal);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  await shareLibraries(target, installer.baked);
  const release = await releaseIn(versions, wanted);
  if (!release) throw new Error('the package holds no flower-superlink');
  await writeFile(join(target, finishedMark), '');
  return release;
}

/** What the apps import (the framework and the like) comes from the baked environment, after the release's own. */
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
