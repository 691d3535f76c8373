import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';

/** A lock that is held. */
export interface FileLock {
  /** Processes that inherit this file hold the lock too, for as long as they live. */
  fd: number;
  release(): Promise<void>;
}

/**
 * Locks a file (flock(2)) against all other processes of the machine. The kernel gives the lock back when whoever holds
 * it dies, so none is ever left behind. The file stays. `waits` is called once where another one holds the lock.
 *
 * @throws the signal's reason when it is aborted before the lock is free, or an Error of the operating system.
 */
export async function lockFile(path: string, signal: AbortSignal, waits: () => void): Promise<FileLock> {
  const file = await open(path, 'a', 0o600);
  try {
    if (!(await flock(['--exclusive', '--nonblock'], file.fd, signal))) {
      waits();
      const locked = await flock(['--exclusive'], file.fd, signal);
      if (!locked) throw new Error(`${path} cannot be locked`);
    }
  } catch (error) {
    await file.close();
    throw error;
  }
  return { fd: file.fd, release: () => file.close() };
}

/** Node has no flock(2). What util-linux's flock locks is our open file, so that the lock outlives the program. */
function flock(flags: string[], fd: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', [...flags, '3'], {
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      stdio: ['ignore', 'ignore', 'ignore', fd],
      signal,
    });
    child.once('error', error => reject(signal.aborted ? signal.reason : error));
    child.once('exit', code => resolve(code === 0));
  });
}
