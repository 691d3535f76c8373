import { createHash, randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { readIfThere, writePrivately } from '../files.ts';

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

export async function removeRecord(place: RecordPlace, name: string): Promise<void> {
  await rm(recordFile(place, name), { force: true });
}

/** Removes what is known of all services of a cloud that no longer exists. */
export async function removeRecords(place: RecordPlace): Promise<void> {
  await rm(join(place.home, 'services', place.cloudKey), { recursive: true, force: true });
}

export function recordFile({ home, cloudKey }: RecordPlace, name: string): string {
  return join(home, 'services', cloudKey, `${encodeURIComponent(name)}.json`);
}

/** A new operator token and what the VM may know of it. */
export function makeOperatorToken(random: (bytes: number) => Buffer = randomBytes): { token: string; hash: string } {
  const token = random(32).toString('base64url');
  return { token, hash: createHash('sha256').update(token).digest('hex') };
}
