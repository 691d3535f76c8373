import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, OneFlowerError } from '@oneflower/contract';

/**
 * Writes a file that only its owner may read: a neighbour first, flushed to disk, then put in place, so that no
 * crash leaves half a file.
 * @throws OneFlowerError `file-write`.
 */
export async function writePrivately(path: string, text: string): Promise<void> {
  await withDraft(path, text, draft => rename(draft, path));
}

/**
 * As {@link writePrivately}, but never in place of a file that is there: of several writers at once one succeeds.
 * @returns whether it was this one.
 */
export async function createPrivately(path: string, text: string): Promise<boolean> {
  let created = true;
  await withDraft(path, text, async draft => {
    try {
      await link(draft, path);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      created = false;
    }
    await rm(draft);
  });
  return created;
}

async function withDraft(path: string, text: string, place: (draft: string) => Promise<void>): Promise<void> {
  const draft = `${path}.${randomBytes(4).toString('hex')}.new`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await chmod(draft, 0o600);
    await place(draft);
  } catch (error) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw writeFailure(path, error);
  }
}

/** The text of a file, or undefined when there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw new OneFlowerError({
      code: 'file-read',
      message: `${path} cannot be read: ${messageOf(error)}.`,
      remedy: 'Check the permissions of the file and its folder.',
      cause: error,
    });
  }
}

export function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR');
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

export function writeFailure(path: string, error: unknown): OneFlowerError {
  const full = hasCode(error, 'ENOSPC');
  return new OneFlowerError({
    code: 'file-write',
    message: `${path} cannot be written: ${messageOf(error)}.`,
    reason: full ? 'The disk is full.' : 'The folder is not writable, or the disk is full.',
    remedy: 'Free space or correct the permissions, or set ONEFLOWER_HOME to another folder.',
    cause: error,
  });
}
