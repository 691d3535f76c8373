import { accessSync, constants, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { messageOf, OneFlowerError } from '@oneflower/contract';

/** What an embedded cloud keeps in its directory. Nothing else in there is ever touched. */
export interface CloudFiles {
  directory: string;
  /** oned's SQLite state, OneFlow's documents included. */
  state: string;
  /** Which 127.X block is the cloud's own. */
  block: string;
  /** `oneadmin:password`, as the stock clients read it from ONE_AUTH. */
  auth: string;
  /** The VMs of the process driver. */
  vms: string;
  /** VMs that were switched off with the cloud and come back with it. */
  resume: string;
  /** How the background service was started. */
  service: string;
  /** Which process the background service is. */
  pid: string;
  /** What the background service wrote. */
  log: string;
}

/** The paths below a cloud's directory. */
export function cloudFiles(directory: string): CloudFiles {
  const root = resolve(directory);
  return {
    directory: root,
    state: join(root, 'one.db'),
    block: join(root, 'block.json'),
    auth: join(root, 'one_auth'),
    vms: join(root, 'vms'),
    resume: join(root, 'resume.json'),
    service: join(root, 'service.json'),
    pid: join(root, 'cloud.pid'),
    log: join(root, 'cloud.log'),
  };
}

/**
 * Makes the directory where it is missing, closed to others (passable to them as root, whose guests run programs as
 * unprivileged users: every file in it is closed by itself), and refuses one that is not ours: state of another user would become
 * unreadable for its owner.
 *
 * @throws OneFlowerError `directory-not-writable` or `directory-of-another-user`
 */
export function prepareDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new OneFlowerError({
      code: 'directory-not-writable',
      message: `The cloud's directory ${directory} cannot be written.`,
      reason: `${messageOf(error)}.`,
      remedy: 'Choose another directory, or change its permissions.',
      cause: error,
      details: { directory },
    });
  }
  const owner = statSync(directory).uid;
  const self = process.getuid?.() ?? owner;
  if (owner === self) return;
  throw new OneFlowerError({
    code: 'directory-of-another-user',
    message: `The cloud's directory ${directory} belongs to another user.`,
    reason: `It is owned by user ${owner}, and this is user ${self}.`,
    remedy: 'Choose another directory, or run the command as its owner.',
    fault: 'user',
    details: { directory, owner },
  });
}

/** Replaces a file in one step, so that a reader and a crash see the old text or the new one. Owner only. */
export function writeWhole(path: string, text: string): void {
  const fresh = `${path}.new`;
  writeFileSync(fresh, text, { mode: 0o600, flush: true });
  renameSync(fresh, path);
}

/** A JSON file, or undefined when it is missing or cut off. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
