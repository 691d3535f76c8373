import { rmSync } from 'node:fs';
import * as z from 'zod';
import { type CloudFiles, readJson, writeWhole } from '../cloud/files.ts';
import type { CloudEndpoints } from '../cloud/front-end.ts';
import { findRecorded } from '../drivers/process/members.ts';
import type { ProcessTable } from '../drivers/process/proc.ts';

const endpointsSchema = z.object({
  xmlrpc: z.string(),
  oneflow: z.string(),
  onegate: z.string(),
  authFile: z.string(),
});

const identitySchema = z.object({
  pid: z.int().positive(),
  startTime: z.number(),
  bootId: z.string(),
  /** Milliseconds since the epoch. */
  since: z.number(),
  endpoints: endpointsSchema,
});

/** The background service as it describes itself in `cloud.pid`: which process, since when, reached where. */
export interface DaemonIdentity {
  pid: number;
  startTime: number;
  bootId: string;
  since: number;
  endpoints: CloudEndpoints;
}

/** Writes `cloud.pid` for this very process. */
export function writeIdentity(
  files: CloudFiles,
  processes: ProcessTable,
  since: number,
  endpoints: CloudEndpoints,
): void {
  const startTime = processes.read(process.pid)?.startTime ?? 0;
  const identity: DaemonIdentity = { pid: process.pid, startTime, bootId: processes.bootId(), since, endpoints };
  writeWhole(files.pid, `${JSON.stringify(identity)}\n`);
}

export function removeIdentity(files: CloudFiles): void {
  rmSync(files.pid, { force: true });
}

/** What `cloud.pid` says, and whether that very process lives: a number that another process has now does not count. */
export function readIdentity(
  files: CloudFiles,
  processes: ProcessTable,
): { identity: DaemonIdentity; alive: boolean } | undefined {
  const identity = identitySchema.safeParse(readJson(files.pid)).data;
  return identity && { identity, alive: findRecorded(processes, identity) !== undefined };
}
