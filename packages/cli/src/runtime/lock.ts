import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';

/** A lock that is held. */
export interface FileLock {
  /** Processes that inherit this file hold the lock too, for as long as they live. */
  fd: number;
  release(): Promise<void>;
}

/**
 * Locks a file (flock(2)) against all other processes of the machine; the kernel gives it back when the holders die.
 * `waits` is called once where another one holds it. Node has no flock(2): what util-linux's program locks is our file.
 *
 * @throws Error of the operating system.
 */
export async function lockFile(path: string, waits: () => void): Promise<FileLock> {
  const file = await open(path, 'a', 0o644);
  try {
    if (!(await flock(['--exclusive', '--nonblock'], file.fd))) {
      waits();
      if (!(await flock(['--exclusive'], file.fd))) throw new Error(`${path} cannot be locked`);
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return { fd: file.fd, release: () => file.close() };
}

function flock(flags: string[], fd: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', [...flags, '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    child.once('error', reject);
    child.once('exit', code => resolve(code === 0));
  });
}
