import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readdir, readFile, readlink, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isOneFlowerError } from '@oneflower/contract';
import { type FileOwner, stateWriteFailed, syncFolder, writeFileAtomic } from '../files.ts';

/** The three files that Flower is given. */
export interface CertificateSet {
  ca: string;
  certificate: string;
  key: string;
}

export const setFiles = { ca: 'ca.crt', certificate: 'server.pem', key: 'server.key' } as const;
const current = 'current';
const setPrefix = 'set-';

/** Reads the set that is in place; undefined when there is none or a part is missing. */
export async function readSet(directory: string): Promise<CertificateSet | undefined> {
  try {
    const [ca, certificate, key] = await Promise.all(
      [setFiles.ca, setFiles.certificate, setFiles.key].map(name => readFile(join(directory, name), 'utf8')),
    );
    return ca === undefined || certificate === undefined || key === undefined ? undefined : { ca, certificate, key };
  } catch {
    return undefined;
  }
}

/**
 * Puts a set in place as a whole. The three names are links into `current`, itself a link to the folder of one set:
 * renaming that one link changes all three at once, so an interruption leaves the old set or the new one.
 *
 * Where the agent is root the folder stays root's, readable by Flower's group: apps run as Flower's user and must not
 * be able to plant links where root writes.
 *
 * @throws OneFlowerError `state_write_failed`
 */
export async function writeSet(directory: string, set: CertificateSet, owner?: FileOwner): Promise<void> {
  try {
    await makeFolder(directory, owner);
    const name = `${setPrefix}${randomBytes(6).toString('hex')}`;
    await writeFiles(join(directory, name), set, owner);
    await pointTo(directory, current, name);
    for (const file of Object.values(setFiles)) await pointTo(directory, file, join(current, file));
    await syncFolder(directory);
    await removeOthers(directory, name);
  } catch (error) {
    if (isOneFlowerError(error)) throw error;
    throw stateWriteFailed(directory, error);
  }
}

/** A folder that only root and, where there is an owner, that owner's group can enter. */
async function makeFolder(folder: string, owner: FileOwner | undefined): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (owner) await chown(folder, process.getuid?.() ?? owner.uid, owner.gid);
  await chmod(folder, owner ? 0o750 : 0o700);
}

async function writeFiles(folder: string, set: CertificateSet, owner: FileOwner | undefined): Promise<void> {
  await makeFolder(folder, owner);
  const reader = owner && { uid: process.getuid?.() ?? owner.uid, gid: owner.gid };
  await writeFileAtomic(join(folder, setFiles.key), set.key, { mode: owner ? 0o640 : 0o600, owner: reader });
  await writeFileAtomic(join(folder, setFiles.certificate), set.certificate, { mode: 0o644, owner: reader });
  await writeFileAtomic(join(folder, setFiles.ca), set.ca, { mode: 0o644, owner: reader });
}

/** Makes `directory/name` a link to `target`, whatever was there, unless it is one already. */
async function pointTo(directory: string, name: string, target: string): Promise<void> {
  const path = join(directory, name);
  if ((await readlink(path).catch(() => undefined)) === target) return;
  const temporary = join(directory, `.${name}.${randomBytes(6).toString('hex')}.new`);
  await symlink(target, temporary);
  await rename(temporary, path);
}

/** What an interruption or an earlier set has left. */
async function removeOthers(directory: string, keep: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const leftover = (name.startsWith(setPrefix) && name !== keep) || (name.startsWith('.') && name.endsWith('.new'));
    if (leftover) await rm(join(directory, name), { recursive: true, force: true });
  }
}
