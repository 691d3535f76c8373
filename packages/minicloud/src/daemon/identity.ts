import { linkSync, rmSync, writeFileSync } from 'node:fs';
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
  endpoints: endpointsSchema.optional(),
});

/** The background service as it describes itself in `cloud.pid`: which process, since when, reached where. */
export interface DaemonIdentity {
  pid: number;
  startTime: number;
  bootId: string;
  since: number;
  /** Missing while it starts. */
  endpoints?: CloudEndpoints | undefined;
}

/** How a process that lives now is named in `cloud.pid`. */
export function identityOf(
  processes: ProcessTable,
  pid: number,
  since: number,
  endpoints?: CloudEndpoints,
): DaemonIdentity {
  const startTime = processes.read(pid)?.startTime ?? 0;
  return { pid, startTime, bootId: processes.bootId(), since, ...(endpoints && { endpoints }) };
}

/** Writes `cloud.pid`, whatever it said before. */
export function writeIdentity(files: CloudFiles, identity: DaemonIdentity): void {
  writeWhole(files.pid, `${JSON.stringify(identity)}\n`);
}

/** Writes `cloud.pid` unless there is one: a service that is up already has written its own. */
export function claimIdentity(files: CloudFiles, identity: DaemonIdentity): void {
  const fresh = `${files.pid}.${identity.pid}`;
  writeFileSync(fresh, `${JSON.stringify(identity)}\n`, { mode: 0o600 });
  try {
    linkSync(fresh, files.pid);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    rmSync(fresh, { force: true });
  }
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
