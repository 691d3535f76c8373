import { execFile } from 'node:child_process';
import { failure } from './failure.ts';
import type { FileOwner } from './files.ts';

/**
 * Sees whether Flower's user can get into a folder: one above it may be closed.
 *
 * @throws OneFlowerError `state_write_failed`
 */
export async function checkReachable(folder: string, owner: FileOwner | undefined): Promise<void> {
  if (owner === undefined || owner.uid === 0) return;
  const said = await find([folder, '-maxdepth', '0', '-executable', '-printf', 'yes'], owner);
  if (said === 'yes') return;
  throw failure('state_write_failed', `The user that runs Flower cannot get into ${folder}.`, {
    reason: 'A folder above it is closed to that user.',
    remedy: 'Let others pass through the folders above it, or name another user with --flower-user.',
  });
}

/**
 * Sees whether Flower's user can read all of the data folder; the operating system is asked as that user.
 *
 * @throws OneFlowerError `data_unreadable` with the first path that it cannot read.
 */
export async function checkReadable(folder: string, owner: FileOwner | undefined, signal: AbortSignal): Promise<void> {
  const args = [folder, '(', '-not', '-readable', '-o', '-type', 'd', '-not', '-executable', ')', '-print', '-quit'];
  const said = await find(args, owner, signal);
  if (said !== '') throw failure('data_unreadable', `The user that runs Flower cannot read ${said}.`);
}

/** What `find` prints as that user; its first complaint when it prints nothing and fails. */
function find(args: string[], owner: FileOwner | undefined, signal?: AbortSignal): Promise<string> {
  const options = { env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' }, cwd: '/', ...owner, ...(signal ? { signal } : {}) };
  return new Promise(resolve => {
    execFile('find', args, options, (error, out, err) => {
      resolve(out.trim() || (error ? err.trim().split('\n')[0] || error.message : ''));
    });
  });
}
