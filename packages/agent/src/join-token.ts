import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { stateWriteFailed, writeFileAtomic } from './files.ts';

/**
 * The join token of a SuperLink that was given none: made once and kept, because nodes outside the service were told
 * it. One that is there but cannot be read is therefore never replaced.
 *
 * @throws OneFlowerError `state_write_failed`
 */
export async function ensureJoinToken(file: string): Promise<string> {
  const kept = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw stateWriteFailed(file, error);
  });
  if (/^[A-Za-z0-9_-]{16,}$/.test(kept)) return kept;
  const made = randomBytes(24).toString('base64url');
  await writeFileAtomic(file, made, { mode: 0o600 });
  return made;
}
