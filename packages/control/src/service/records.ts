import { createHash, randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { createPrivately, isMissing, readIfThere, writePrivately } from '../files.ts';

/** What only this machine knows of a service that was deployed from it: `<home>/services/CLOUD/NAME.json`, mode 0600. */
const ServiceRecord = z.object({
  name: z.string(),
  /** Null while the service is not instantiated yet. */
  serviceId: z.int().nullable(),
  /** Bearer token of the operator API. */
  operatorToken: z.string(),
  /** Whether the service was deployed with TLS: its operator API is never spoken to without it then. */
  tls: z.boolean(),
});
export type ServiceRecord = z.infer<typeof ServiceRecord>;

/** Where the records of a cloud are. */
export interface RecordPlace {
  home: string;
  cloudKey: string;
}

export async function writeRecord(place: RecordPlace, record: ServiceRecord): Promise<void> {
  await writePrivately(recordFile(place, record.name), `${JSON.stringify(record, undefined, 2)}\n`);
}

/** The record of a service, or undefined when it was deployed elsewhere or the file is damaged. */
export async function readRecord(place: RecordPlace, name: string): Promise<ServiceRecord | undefined> {
  const text = await readIfThere(recordFile(place, name));
  if (text === undefined) return undefined;
  try {
    return ServiceRecord.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** Removes what is known of a service, its CAs too. */
export async function removeRecord(place: RecordPlace, name: string): Promise<void> {
  await forgetAuthorities(place, name);
  await rm(recordFile(place, name), { force: true });
}

/**
 * The SHA-256 of a SuperLink's CA as it was seen first, or undefined when it has not been seen. Beside the record, one
 * file for each VM, so that commands at the same time never write the same one: `NAME.VMID.ca-sha256`.
 */
export async function readAuthority(place: RecordPlace, name: string, vmId: number): Promise<string | undefined> {
  return (await readIfThere(authorityFile(place, name, vmId)))?.trim();
}

/** Keeps a CA that is seen first. @returns false when another command has kept one meanwhile. */
export async function keepAuthority(place: RecordPlace, name: string, vmId: number, sha256: string): Promise<boolean> {
  return createPrivately(authorityFile(place, name, vmId), `${sha256}\n`);
}

/** The VMs whose CAs are known, of one service. */
export async function knownSuperLinks(place: RecordPlace, name: string): Promise<number[]> {
  const begins = `${encodeURIComponent(name)}.`;
  const vmId = (file: string): string | undefined =>
    file.startsWith(begins) ? /^(\d+)\.ca-sha256$/.exec(file.slice(begins.length))?.[1] : undefined;
  try {
    const files = await readdir(recordFolder(place));
    return files
      .map(vmId)
      .filter(id => id !== undefined)
      .map(Number);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Forgets the CAs of a service, as when another one of that name is made. */
export async function forgetAuthorities(place: RecordPlace, name: string): Promise<void> {
  for (const vmId of await knownSuperLinks(place, name)) await rm(authorityFile(place, name, vmId), { force: true });
}

export function authorityFile(place: RecordPlace, name: string, vmId: number): string {
  return join(recordFolder(place), `${encodeURIComponent(name)}.${vmId}.ca-sha256`);
}

/** Removes what is known of all services of a cloud that no longer exists. */
export async function removeRecords(place: RecordPlace): Promise<void> {
  await rm(recordFolder(place), { recursive: true, force: true });
}

export function recordFile(place: RecordPlace, name: string): string {
  return join(recordFolder(place), `${encodeURIComponent(name)}.json`);
}

function recordFolder({ home, cloudKey }: RecordPlace): string {
  return join(home, 'services', cloudKey);
}

/** A new operator token and what the VM may know of it. */
export function makeOperatorToken(random: (bytes: number) => Buffer = randomBytes): { token: string; hash: string } {
  const token = random(32).toString('base64url');
  return { token, hash: createHash('sha256').update(token).digest('hex') };
}
