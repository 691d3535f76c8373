import { readdir, readFile, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { nearest, OneFlowerError } from '@oneflower/contract';
import { type CloudLogin, readLogin } from '@oneflower/opennebula';
import * as z from 'zod';
import { isMissing, readIfThere, writePrivately } from './files.ts';
import type { Environment } from './home.ts';
import { digest } from './plan/digest.ts';

/** Name under which the embedded cloud is saved. */
export const embeddedCloud = 'embedded';

const httpUrl = z.url({ protocol: /^https?$/ });
/** `<home>/clouds/NAME.json`. The login stays in a file of its own, as the stock clients keep it. */
const SavedCloud = z.object({
  xmlrpc: httpUrl,
  oneflow: httpUrl,
  onegate: httpUrl.optional(),
  authFile: z.string().min(1).optional(),
});
export type SavedCloud = z.infer<typeof SavedCloud>;

/** Which cloud, and who calls. */
export interface CloudAccess extends CloudLogin {
  /** A saved cloud's name, or `environment`. */
  cloud: string;
  /** Tells clouds apart in local files. */
  key: string;
}

export interface AccessRequest {
  home: string;
  environment: Environment;
  /** The saved cloud that was asked for. */
  cloud?: string | undefined;
  /** Folder with `.one`; the user's own by default. */
  userFolder?: string;
}

/**
 * Settles which cloud is meant: the saved one that was asked for; else, when any of ONE_XMLRPC, ONEFLOW_URL and
 * ONE_AUTH is set, what the environment says; else the embedded cloud when there is one; else the stock clients'
 * defaults when there is a `~/.one/one_auth`.
 * @throws OneFlowerError `cloud-unknown`, `cloud-file`, `cloud-none`, and what `readLogin` throws.
 */
export async function findCloud(request: AccessRequest): Promise<CloudAccess> {
  const { home, environment, cloud, userFolder = homedir() } = request;
  if (cloud !== undefined) return savedAccess(home, cloud, userFolder);
  const inEnvironment = ['ONE_XMLRPC', 'ONEFLOW_URL', 'ONE_AUTH'].some(name => environment[name]?.trim());
  if (!inEnvironment) {
    if (await readSavedCloud(home, embeddedCloud)) return savedAccess(home, embeddedCloud, userFolder);
    if ((await readIfThere(join(userFolder, '.one', 'one_auth'))) === undefined) throw noCloud();
  }
  const login = await readLogin({ env: environment, homeDirectory: userFolder, readFile: readIfThere });
  return { cloud: 'environment', key: `environment-${digest(login.endpoint)}`, ...login };
}

/** Saves a cloud under a name; an older one of that name is replaced. */
export async function saveCloud(home: string, name: string, cloud: SavedCloud): Promise<void> {
  await writePrivately(cloudFile(home, name), `${JSON.stringify(SavedCloud.parse(cloud), undefined, 2)}\n`);
}

/** Forgets a saved cloud. */
export async function forgetCloud(home: string, name: string): Promise<void> {
  await rm(cloudFile(home, name), { force: true });
}

/** @throws OneFlowerError `cloud-file` when the file is not what it must be. */
export async function readSavedCloud(home: string, name: string): Promise<SavedCloud | undefined> {
  const path = cloudFile(home, name);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  const parsed = SavedCloud.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new OneFlowerError({
    code: 'cloud-file',
    message: `The saved cloud in ${path} cannot be read: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`,
    remedy:
      'It must be JSON with "xmlrpc" (as ONE_XMLRPC), "oneflow" (as ONEFLOW_URL) and, unless it is ~/.one/one_auth, "authFile".',
    fault: 'user',
  });
}

/** Names of the saved clouds. */
export async function listClouds(home: string): Promise<string[]> {
  try {
    const files = await readdir(join(home, 'clouds'));
    return files.filter(file => file.endsWith('.json')).map(file => file.slice(0, -'.json'.length));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

async function savedAccess(home: string, name: string, userFolder: string): Promise<CloudAccess> {
  const saved = await readSavedCloud(home, name);
  if (!saved) throw await unknownCloud(home, name);
  const env = { ONE_XMLRPC: saved.xmlrpc, ONEFLOW_URL: saved.oneflow, ONE_AUTH: saved.authFile };
  const login = await readLogin({ env, homeDirectory: userFolder, readFile: path => readText(path) });
  return { cloud: name, key: name, ...login };
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(error => {
    if (isMissing(error)) return undefined;
    throw error;
  });
}

function cloudFile(home: string, name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(name)) return join(home, 'clouds', `${name}.json`);
  throw new OneFlowerError({
    code: 'cloud-unknown',
    message: `${JSON.stringify(name.slice(0, 80))} cannot be the name of a cloud.`,
    remedy: 'A name has letters, digits, dots, dashes and underscores.',
    fault: 'user',
  });
}

async function unknownCloud(home: string, name: string): Promise<OneFlowerError> {
  if (name === embeddedCloud) {
    return new OneFlowerError({
      code: 'cloud-unknown',
      message: 'There is no embedded cloud.',
      reason: 'It has not been started yet.',
      remedy: 'Start it with oneflower cloud start.',
      fault: 'user',
    });
  }
  const known = await listClouds(home);
  const meant = nearest(name, known);
  return new OneFlowerError({
    code: 'cloud-unknown',
    message: `No cloud is saved as ${name}.${meant ? ` Did you mean ${meant}?` : ''}`,
    reason: known.length > 0 ? `Saved: ${known.join(', ')}.` : 'None is saved at all.',
    remedy: `Set ONE_XMLRPC, ONEFLOW_URL and ONE_AUTH, and keep them with oneflower cloud save ${name}.`,
    fault: 'user',
  });
}

function noCloud(): OneFlowerError {
  return new OneFlowerError({
    code: 'cloud-none',
    message: 'No cloud is known.',
    reason: 'ONE_XMLRPC, ONEFLOW_URL and ONE_AUTH are not set, there is no ~/.one/one_auth, and no embedded cloud.',
    remedy: 'Start the embedded cloud with oneflower cloud start, or set ONE_XMLRPC, ONEFLOW_URL and ONE_AUTH.',
    fault: 'user',
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
