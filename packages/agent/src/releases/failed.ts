import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '@oneflower/contract';
import * as z from 'zod';
import { writeFileAtomic } from '../files.ts';

const failedSchema = z.object({ at: z.number(), reason: z.string(), settings: z.string() });

/** An installation that failed: when (milliseconds since the epoch), why, and how pip was set up. */
export type FailedInstallation = z.output<typeof failedSchema>;

/** How long a release that could not be installed is left alone: an hour. */
export const retryAfterMs = 3_600_000;

/** The failure because of which an environment need not be tried now; undefined where trying may help. */
export async function failedBefore(
  versions: string,
  environment: string,
  settings: string,
  clock: Clock,
): Promise<FailedInstallation | undefined> {
  const text = await readFile(fileOf(versions, environment), 'utf8').catch(() => '');
  const failed = failedSchema.safeParse(jsonOf(text)).data;
  if (!failed || failed.settings !== settings) return undefined;
  const age = clock.now() - failed.at;
  // One from the future was noted before the clock was set back.
  return age >= 0 && age < retryAfterMs ? failed : undefined;
}

/** Remembers a failure. Where even that cannot be written, the next boot tries again. */
export async function noteFailure(versions: string, environment: string, failed: FailedInstallation): Promise<void> {
  const text = `${JSON.stringify(failed)}\n`;
  await writeFileAtomic(fileOf(versions, environment), text, { mode: 0o600 }).catch(() => undefined);
}

function fileOf(versions: string, environment: string): string {
  return join(versions, `.${environment}.failed.json`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
