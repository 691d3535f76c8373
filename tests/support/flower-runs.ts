import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { testSoftware } from './software.ts';

/** A run as Flower reports it. */
export interface ReportedRun {
  runId: string;
  /** PUBLISHER/APP. */
  fabId: string;
  status: string;
  /** The run configuration that was given with the run, over that of the app. */
  config: Record<string, string | number | boolean>;
}

/** The runs of a SuperLink, newest first, asked of Flower itself at `http(s)://HOST:PORT`. */
export async function flowerRuns(origin: string, caFile?: string): Promise<ReportedRun[]> {
  const script = join(import.meta.dirname, 'flower_runs.py');
  const args = [script, origin, ...(caFile === undefined ? [] : [caFile])];
  const { stdout } = await promisify(execFile)(testSoftware().python, args, { timeout: 60_000 });
  return JSON.parse(stdout);
}
