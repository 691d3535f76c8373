import { execFile } from 'node:child_process';
import { failure } from './failure.ts';
import type { FileOwner } from './files.ts';

/**
 * Sees whether Flower's user can read all of the data folder; the operating system is asked as that user.
 *
 * @throws OneFlowerError `data_unreadable` with the first path that it cannot read.
 */
export async function checkReadable(folder: string, owner: FileOwner | undefined, signal: AbortSignal): Promise<void> {
  const args = [folder, '(', '-not', '-readable', '-o', '-type', 'd', '-not', '-executable', ')', '-print', '-quit'];
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C' };
  const said = await new Promise<string>(resolve => {
    execFile('find', args, { env, signal, cwd: '/', ...owner }, (error, out, err) => {
      resolve(out.trim() || (error ? err.trim().split('\n')[0] || error.message : ''));
    });
  });
  if (said !== '') throw failure('data_unreadable', `The user that runs Flower cannot read ${said}.`);
}
