import { access, constants, realpath, rename, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  bakedFramework,
  defaultFlowerVersion,
  environmentName,
  type Framework,
  frameworks,
  messageOf,
  OneFlowerError,
} from '@oneflower/contract';
import { homeFolder } from '@oneflower/control';
import { flowerSources } from './checkout.ts';
import { type Contents, ensureEnvironment, environmentOf, isFinished, type Notify } from './environment.ts';
import { findPython, type Python } from './python.ts';

const base = join(flowerSources, 'requirements.lock');

/** The environments of the frameworks; sizes as measured for Python 3.11 on x86-64. */
export const environments: Record<Framework, Contents> = {
  sklearn: {
    title: 'Flower with scikit-learn',
    lockFiles: [base],
    megabytes: { download: 150, unpacked: 520 },
    modules: ['flwr', 'sklearn'],
  },
  pytorch: {
    title: 'Flower with PyTorch',
    lockFiles: [base, join(flowerSources, 'requirements-pytorch.lock')],
    megabytes: { download: 500, unpacked: 1700 },
    modules: ['flwr', 'torch', 'peft'],
    // PyPI's own build for Linux wants several GB of CUDA libraries, which are not locked.
    index: 'https://download.pytorch.org/whl/cpu',
  },
  tensorflow: {
    title: 'Flower with TensorFlow',
    lockFiles: [base, join(flowerSources, 'requirements-tensorflow.lock')],
    megabytes: { download: 500, unpacked: 1950 },
    modules: ['flwr', 'tensorflow'],
  },
};

/** The interpreter that environments are made with. @throws OneFlowerError `python-missing`. */
export function pythonOfEnvironments(): Promise<Python> {
  return findPython({ path: process.env.PATH ?? '', forOtherUser: process.getuid?.() === 0 });
}

/** Folder of the environments that this user's commands make. */
export function ownEnvironments(): string {
  return join(homeFolder(), 'software', 'environments');
}

/**
 * Sees to it that guests with a software folder find the environment of a framework there: made where this machine has
 * none yet, and linked into the folder when it is whole.
 * @throws OneFlowerError `software-not-writable`, and what {@link ensureEnvironment} throws.
 */
export async function ensureFramework(framework: Framework, software: string, notify: Notify): Promise<void> {
  const link = linkOf(framework, software);
  if (framework === bakedFramework || (await isThere(link))) return;
  const python = await pythonOfEnvironments();
  const folder = await environmentsOf(software);
  await point(link, await ensureEnvironment({ folder, python, contents: environments[framework], notify }));
}

/** Links the environments that this machine has already into a software folder. */
export async function linkFrameworks(software: string, python: Python, notify: Notify): Promise<void> {
  const folder = await environmentsOf(software);
  for (const framework of frameworks) {
    const link = linkOf(framework, software);
    if (framework === bakedFramework || (await isThere(link))) continue;
    const environment = await environmentOf({ folder, python, contents: environments[framework], notify });
    if (isFinished(environment)) await point(link, environment);
  }
}

function linkOf(framework: Framework, software: string): string {
  return join(software, 'versions', environmentName(defaultFlowerVersion, framework));
}

/** Where the baked environment of a software folder lies with others of ours; else this user's own. */
async function environmentsOf(software: string): Promise<string> {
  const baked = await realpath(linkOf(bakedFramework, software)).catch(() => '');
  return baked !== '' && isFinished(baked) ? dirname(baked) : ownEnvironments();
}

function isThere(link: string): Promise<boolean> {
  return access(join(link, 'bin', 'flower-superlink'), constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** At once: a guest sees no link or a whole environment. */
async function point(link: string, environment: string): Promise<void> {
  const draft = `${link}.new-${process.pid}`;
  try {
    await symlink(environment, draft);
    await rename(draft, link);
  } catch (cause) {
    await rm(draft, { force: true });
    throw new OneFlowerError({
      code: 'software-not-writable',
      message: `The environment ${environment} cannot be linked as ${link}: ${messageOf(cause)}.`,
      reason: 'The software folder of the embedded cloud belongs to somebody else.',
      remedy: `Make the link by hand (ln -s ${environment} ${link}), or start the embedded cloud with software of your own.`,
      cause,
    });
  }
}
