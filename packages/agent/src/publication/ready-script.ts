import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { failure } from '../failure.ts';

/**
 * Runs the program of READY_SCRIPT_PATH, a path inside the guest's root, without a shell and without arguments.
 *
 * @throws OneFlowerError `ready_script_failed` unless it exits with 0.
 */
export async function runReadyScript(root: string, path: string, signal: AbortSignal): Promise<void> {
  const file = join(root, path);
  const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
  await new Promise<void>((resolve, reject) => {
    const child = spawn(file, [], { cwd: root, env, stdio: 'ignore', signal, killSignal: 'SIGKILL' });
    child.once('error', error => reject(failure('ready_script_failed', `${path} cannot be run: ${error.message}.`)));
    child.once('exit', (code, killedBy) => {
      if (code === 0) resolve();
      else reject(failure('ready_script_failed', `${path} ended with ${killedBy ?? `exit code ${code}`}.`));
    });
  });
}
