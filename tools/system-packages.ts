import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { isOneFlowerError, OneFlowerError } from '@oneflower/contract';
import { findPython } from '../packages/cli/src/runtime/index.ts';

interface SystemNeed {
  what: string;
  debianPackages: string[];
  isMet: () => Promise<boolean>;
}

const python: SystemNeed = {
  what: 'Python 3.11 or newer with venv',
  debianPackages: ['python3', 'python3-venv'],
  isMet: async () => {
    try {
      await findPython({ path: process.env.PATH ?? '', forOtherUser: process.getuid?.() === 0 });
      return true;
    } catch (error) {
      if (isOneFlowerError(error)) return false;
      throw error;
    }
  },
};

/** Needed by the tests alone: certificates are checked with a second implementation. */
const openssl: SystemNeed = {
  what: 'the openssl command',
  debianPackages: ['openssl'],
  isMet: async () => spawnSync('openssl', ['version']).status === 0,
};

/**
 * Installs the system packages that are missing where that is allowed: as root on Debian and its like.
 * @throws OneFlowerError `system-packages`, which names what is missing.
 */
export async function ensureSystemPackages(options: { forTests: boolean }): Promise<void> {
  const missing: SystemNeed[] = [];
  for (const need of options.forTests ? [python, openssl] : [python]) {
    if (!(await need.isMet())) missing.push(need);
  }
  if (missing.length === 0) return;
  const packages = missing.flatMap(need => need.debianPackages);
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) throw missingPackages(missing, packages);
  console.error(`Installing system packages: ${packages.join(', ')}`);
  aptGet(['update', '-qq']);
  aptGet(['install', '-y', '-qq', '--no-install-recommends', ...packages]);
  for (const need of missing) if (!(await need.isMet())) throw missingPackages([need], need.debianPackages);
}

function aptGet(args: string[]): void {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status } = spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env: environment });
  if (status !== 0) console.error(`apt-get ${args[0]} ended with ${status}`);
}

function missingPackages(missing: SystemNeed[], packages: string[]): OneFlowerError {
  return new OneFlowerError({
    code: 'system-packages',
    message: `This machine lacks ${missing.map(need => need.what).join(' and ')}.`,
    reason: 'They are installed by themselves only for root on Debian or Ubuntu.',
    remedy: `Install them and run the command again (Debian and Ubuntu: apt-get install ${packages.join(' ')}).`,
  });
}
