import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { failures, messageOf, OneFlowerError } from '@oneflower/contract';

/** Whom a file is to belong to, where the agent may decide that. */
export interface FileOwner {
  uid: number;
  gid: number;
}

export interface WriteOptions {
  /** Permission bits, exact whatever the umask. */
  mode: number;
  owner?: FileOwner | undefined;
}

/**
 * Replaces a file as a whole: whoever reads `path` sees the old content or the new, also after a power cut in the
 * middle. The new content is never readable by more than `mode` allows.
 *
 * @throws OneFlowerError `state_write_failed` when the disk is full or the folder is not writable.
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array, options: WriteOptions): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.new`);
  try {
    await writeSynced(temporary, data, options);
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw stateWriteFailed(path, error);
  }
}

/** Makes what was renamed or linked in a folder survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Removes a folder of the agent that may have been handed over to `owner`. Then it is emptied as that user: whoever
 * owns folders can swap one for a link while root goes through them, and root would empty what that leads to.
 */
export async function removeHandedOver(folder: string, owner: FileOwner | undefined): Promise<void> {
  const found = await lstat(folder).catch(() => undefined);
  if (!found) return;
  if (owner === undefined || found.uid === process.getuid?.()) {
    await rm(folder, { recursive: true, force: true });
    return;
  }
  const options = { ...owner, cwd: '/', env: { PATH: '/usr/bin:/bin' } };
  // It cannot remove the folder itself, which lies in one of the agent's.
  await new Promise<void>(resolve => execFile('rm', ['-rf', '--', folder], options, () => resolve()));
  await rmdir(folder);
}

/**
 * Makes a folder, or corrects its mode and owner.
 *
 * @throws OneFlowerError `state_write_failed`; it says so where a link or a file stands in the folder's place.
 */
export async function ensureFolder(path: string, mode: number, owner: FileOwner | undefined): Promise<void> {
  try {
    // Folders on the way are the machine's own, which others pass through.
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await mkdir(path, { recursive: true, mode });
    // Flower's user may have put a link in its place: only the folder itself is touched.
    const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    try {
      await folder.chmod(mode);
      if (owner) await folder.chown(owner.uid, owner.gid);
    } finally {
      await folder.close();
    }
  } catch (error) {
    throw (await noFolder(path)) ?? stateWriteFailed(path, error);
  }
}

/** The error that says what stands where a folder is to be; undefined when that is a folder, or nothing. */
async function noFolder(path: string): Promise<OneFlowerError | undefined> {
  const found = await lstat(path).catch(() => undefined);
  if (!found || found.isDirectory()) return undefined;
  const what = found.isSymbolicLink() ? 'a symbolic link' : 'no folder';
  return new OneFlowerError({
    code: 'state_write_failed',
    message: `${path} is ${what}, and the agent needs a folder there.`,
    reason: 'Somebody has put it there, an app that Flower runs perhaps; it is not followed.',
    remedy: `Remove it (rm ${path}) and restart the VM.`,
    fault: 'user',
    details: { path },
  });
}

/** The error with which every failed write of state is reported. */
export function stateWriteFailed(path: string, cause: unknown): OneFlowerError {
  return new OneFlowerError({
    code: 'state_write_failed',
    message: `Cannot write ${path}: ${messageOf(cause)}.`,
    ...failures.state_write_failed,
    cause,
    details: { path },
  });
}

async function writeSynced(path: string, data: string | Uint8Array, { mode, owner }: WriteOptions): Promise<void> {
  const handle: FileHandle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(data);
    // By the handle: in a folder of another user the name might lead elsewhere by now.
    if (owner) await handle.chown(owner.uid, owner.gid);
    await handle.chmod(mode);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
