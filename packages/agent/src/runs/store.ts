import { readFile } from 'node:fs/promises';
import { type OneFlowerError, RunSummary } from '@oneflower/contract';
import * as z from 'zod';
import { failure } from '../failure.ts';
import { writeFileAtomic } from '../files.ts';

/** A run as the agent remembers it. */
export const RunRecord = RunSummary.extend({
  /** Rounds that were aggregated. */
  roundsDone: z.int(),
});
export type RunRecord = z.infer<typeof RunRecord>;

const RunState = z.object({
  /**
   * Where the run that the variables describe stands: `submitting` is written before Flower is asked, so that a
   * crash in between does not submit it twice.
   */
  fromVariables: z.enum(['none', 'submitting', 'submitted']),
  /** Ids of the runs that were there when it was last submitted: none of them is that one. */
  knownBefore: z.array(z.string()).default([]),
  runs: z.array(RunRecord),
});
export type RunState = z.infer<typeof RunState>;

/** A run of which nothing is known yet but that it is there. */
export function newRecord(runId: string, app: string, submittedBy: RunRecord['submittedBy']): RunRecord {
  return {
    ...{ runId, app, submittedBy, status: 'pending', details: '', round: 0, rounds: null },
    ...{ startedAt: null, endedAt: null, metrics: {}, model: false, roundsDone: 0 },
  };
}

/** At most so many runs, oldest left out first, but none that has not ended or is among Flower's newest. */
export function withoutOld(
  runs: readonly RunRecord[],
  newest: readonly { runId: string }[],
  most: number,
): RunRecord[] {
  const kept = new Set(newest.map(({ runId }) => runId));
  const old = runs.filter(({ runId, endedAt }) => endedAt !== null && !kept.has(runId));
  const dropped = new Set(old.slice(0, Math.max(0, runs.length - most)));
  return runs.filter(record => !dropped.has(record));
}

/**
 * Loads the runs of this VM's life. A file that cannot be read is never overwritten: guessing could train twice.
 *
 * @throws OneFlowerError `state_write_failed`
 */
export async function loadRuns(file: string): Promise<RunState> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return { fromVariables: 'none', knownBefore: [], runs: [] };
    throw damaged(file, error);
  }
  try {
    return RunState.parse(JSON.parse(text));
  } catch (error) {
    throw damaged(file, error);
  }
}

function damaged(file: string, cause: unknown): OneFlowerError {
  return failure('state_write_failed', `The record of the runs, ${file}, cannot be read.`, {
    reason: 'The file is damaged or its permissions were changed.',
    remedy: 'Remove the file; the run of the variables is then submitted once more.',
    fault: 'user',
    cause,
  });
}

/** @throws OneFlowerError `state_write_failed` */
export async function saveRuns(file: string, state: RunState): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(state)}\n`, { mode: 0o600 });
}
