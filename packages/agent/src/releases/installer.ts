import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { installerVariables } from '@oneflower/contract';
import type { Layout } from '../layout.ts';
import { guestMark } from '../supervision/processes.ts';
import type { FileLock } from './lock.ts';
import type { FlowerRelease } from './release.ts';

/** What installs a release. */
export interface Installer {
  /** Its Python makes the environment, and what apps import comes from it. */
  baked: FlowerRelease;
  /** Stands for how pip is set up: it differs where that does. */
  settings: string;
  /** Runs a program of an installation, which unpacks in `temporary`. @throws Error with what it said last. */
  execute(file: string, args: string[], temporary: string, signal: AbortSignal): Promise<void>;
}

/** pip's configuration files for the whole machine. */
const machineSettings = ['/etc/xdg/pip/pip.conf', '/etc/pip.conf'];

/** The installer of this machine, which holds on to the lock for as long as one of its programs runs. */
export async function readInstaller(layout: Layout, baked: FlowerRelease, lock: FileLock): Promise<Installer> {
  const passed = installerVariables(process.env);
  const files = [...machineSettings, passed.PIP_CONFIG_FILE ?? ''].filter(file => file !== '');
  const contents = await Promise.all(files.map(file => readFile(file, 'utf8').catch(() => '')));
  const known = [baked.bin, contents, Object.entries(passed).sort()];
  const env = {
    ...passed,
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: layout.state,
    [guestMark]: layout.root,
  };
  return {
    baked,
    settings: createHash('sha256').update(JSON.stringify(known)).digest('hex'),
    execute: (file, args, temporary, signal) =>
      execute(file, args, { env: { ...env, TMPDIR: temporary }, cwd: layout.state, held: lock.fd, signal }),
  };
}

interface Circumstances {
  env: Record<string, string>;
  cwd: string;
  /** A file that stays open for as long as the program runs. */
  held: number;
  signal: AbortSignal;
}

function execute(file: string, args: string[], { env, cwd, held, signal }: Circumstances): Promise<void> {
  return new Promise((resolve, reject) => {
    const stdio = ['ignore', 'ignore', 'pipe', held] as const;
    const child = spawn(file, args, { env, cwd, stdio: [...stdio], signal, killSignal: 'SIGKILL' });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-500);
    });
    // One that is cut off is waited for: it may still write.
    child.once('error', error => child.pid === undefined && reject(error));
    child.once('exit', code => {
      if (signal.aborted) reject(signal.reason);
      else if (code === 0) resolve();
      else reject(new Error(said.trim().split('\n').at(-1) || `exit code ${code}`));
    });
  });
}
