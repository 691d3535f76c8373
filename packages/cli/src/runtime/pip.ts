import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { type Clock, messageOf, OneFlowerError, type Timer } from '@oneflower/contract';
import { execa } from 'execa';
import type { FileLock } from './lock.ts';
import { createPipProgress } from './pip-progress.ts';

/** A file of pinned packages, and where they are had. */
export interface PipSource {
  file: string;
  packages: number;
  /** A further package index. */
  index: string | undefined;
}

/** Python's tools, at work on one environment. */
export interface Pip {
  makeEnvironment(python: string): Promise<void>;
  /** Installs what a lock file names, and nothing else. Says how far it is every {@link everyMs}. */
  install(source: PipSource): Promise<void>;
  /** Whether pip is set up on this machine to use other sources than PyPI. */
  hasOwnSources(): Promise<boolean>;
  /** Imports modules. */
  check(modules: readonly string[]): Promise<void>;
}

interface PipSetting {
  environment: string;
  /** Where packages are fetched to. */
  temporary: string;
  title: string;
  /** Size of the environment when it is whole, in MB. */
  unpacked: number;
  /** Held for as long as one of the programs runs. */
  lock: FileLock;
  notify: (message: string) => void;
  clock: Clock;
}

/** Milliseconds between two words about the progress. */
const everyMs = 15_000;

/** All of it throws OneFlowerError `python-packages` with what the program said. */
export function createPip(setting: PipSetting): Pip {
  const python = join(setting.environment, 'bin', 'python');
  return {
    async makeEnvironment(base) {
      await execute(setting, base, ['-m', 'venv', setting.environment]);
    },
    async install({ file, packages, index }) {
      const progress = createPipProgress(packages);
      const told = tell(setting, () => progress.describe());
      const flags = ['--progress-bar', 'off', '--no-input', '--disable-pip-version-check', '--no-deps'];
      const env = index === undefined ? {} : { PIP_EXTRA_INDEX_URL: index };
      try {
        await execute(setting, python, ['-m', 'pip', 'install', ...flags, '--requirement', file], {
          env,
          heed: line => progress.heed(line),
        });
      } finally {
        told.stop();
      }
    },
    async hasOwnSources() {
      const said = await execute(setting, python, ['-m', 'pip', 'config', 'list']);
      return /\.(index-url|extra-index-url|find-links|no-index)=/.test(said);
    },
    async check(modules) {
      await execute(setting, python, ['-c', `import ${modules.join(', ')}`]);
    },
  };
}

function tell({ environment, title, unpacked, notify, clock }: PipSetting, describe: () => string | undefined) {
  let timer: Timer;
  let stopped = false;
  async function say(): Promise<void> {
    const doing = describe();
    const { stdout } = await execa('du', ['-sm', environment], { reject: false });
    if (stopped) return;
    const size = Number.parseInt(stdout, 10) || 0;
    if (doing !== undefined) notify(`${title}: ${doing}; ${size} of about ${unpacked} MB unpacked`);
    timer = clock.after(everyMs, () => void say());
  }
  timer = clock.after(everyMs, () => void say());
  return {
    stop() {
      stopped = true;
      timer.cancel();
    },
  };
}

interface Circumstances {
  env?: Record<string, string>;
  heed?: (line: string) => void;
}

async function execute(
  { temporary, lock, title }: PipSetting,
  file: string,
  args: string[],
  { env = {}, heed }: Circumstances = {},
): Promise<string> {
  const child = spawn(file, args, {
    env: { ...process.env, ...env, TMPDIR: temporary },
    stdio: ['ignore', 'pipe', 'pipe', lock.fd],
  });
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', error => reject(error));
    child.once('close', (code, signal) => resolve(code === 0 ? '' : (signal ?? `code ${code}`)));
  });
  const said: string[] = [];
  const listen = (stream: Readable) =>
    createInterface(stream).on('line', line => {
      said.push(line);
      heed?.(line);
    });
  for (const stream of [child.stdout, child.stderr]) if (stream) listen(stream);
  const trouble = await ended.catch(messageOf);
  if (trouble === '') return said.join('\n');
  throw new OneFlowerError({
    code: 'python-packages',
    message: `${title} could not be installed: ${[file, ...args].join(' ')} ended with ${trouble}.`,
    reason: `It said: ${said.slice(-5).join(' ').trim()}`,
    remedy:
      'Check that the package registry can be reached and has these packages (pip.conf and PIP_INDEX_URL say which is asked), then run the command again.',
  });
}
