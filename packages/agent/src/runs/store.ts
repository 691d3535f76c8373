import { readFile } from 'node:fs/promises';
import { type OneFlowerError, RunSummary } from '@oneflower/contract';
import * as z from 'zod';
import { failure } from '../failure.ts';
import { writeFileAtomic } from '../files.ts';

/** What is needed to submit a run's app once more. */
export const RunSource = z.object({
  /** Folder of an uploaded app, below that of the runs; null for the app of the use case. */
  upload: z
    .string()
    .regex(/^upload-[0-9a-f]{12}$/)
    .nullable(),
  /** What overrides the app's own run configuration, `KEY=VALUE`. */
  runConfig: z.array(z.string()),
  /** All of the run configuration. */
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  /** `undeclared`: the app does not know the key that names a checkpoint; `off`: it is told to write none. */
  resumable: z.enum(['yes', 'undeclared', 'off']),
  /** Nodes that must be online, where the app says it. */
  leastNodes: z.int().nullable(),
});
export type RunSource = z.infer<typeof RunSource>;

/** A run as the agent remembers it. */
export const RunRecord = RunSummary.omit({ resumes: true, resumable: true }).extend({
  continues: z.string().nullable().default(null),
  continuedBy: z.string().nullable().default(null),
  checkpoint: z.int().nullable().default(null),
  /** Rounds that were aggregated. */
  roundsDone: z.int(),
  /** The ServerApp has said that it has done all rounds. */
  trained: z.boolean().default(false),
  /** Nodes that its app wants online before it goes on; null where it is at work. */
  nodesWanted: z.int().nullable().default(null),
  /** As Flower names the app. */
  fabId: z.string().default(''),
  source: RunSource.nullable().default(null),
  /** Round of the checkpoint that it began with. */
  resumedFrom: z.int().nullable().default(null),
  /** Resumes before this run, in a row, that have brought no new checkpoint. */
  stalled: z.int().default(0),
  /** Whether another run is to go on in its place; `submitting` is written before Flower is asked for it. */
  resume: z.enum(['none', 'due', 'submitting']).default('none'),
  /** Round of the checkpoint that this other run was submitted with; 0: a fresh start. */
  resumeRound: z.int().default(0),
  /** It goes on because an operator wants it to. */
  resumeByHand: z.boolean().default(false),
});
export type RunRecord = z.infer<typeof RunRecord>;

/** A run whose app can be submitted once more. */
export interface ResumableRun extends RunRecord {
  source: RunSource;
}

const RunState = z.object({
  /**
   * Where the run that the variables describe stands: `submitting` is written before Flower is asked, so that a
   * crash in between does not submit it twice.
   */
  fromVariables: z.enum(['none', 'submitting', 'submitted']),
  /** Ids of the runs that were there when it was last submitted: none of them is that one. */
  knownBefore: z.array(z.string()).default([]),
  /** The checkpoint of an earlier VM that it goes on from. */
  inherited: z.object({ runId: z.string(), round: z.int() }).nullable().default(null),
  /** Ids of the runs that were there when one was last resumed. */
  resumedBefore: z.array(z.string()).default([]),
  runs: z.array(RunRecord),
});
export type RunState = z.infer<typeof RunState>;

/** A run of which nothing is known yet but that it is there. */
export function newRecord(runId: string, app: string, submittedBy: RunRecord['submittedBy']): RunRecord {
  return {
    ...{ runId, app, submittedBy, status: 'pending', details: '', round: 0, rounds: null },
    ...{ startedAt: null, endedAt: null, metrics: {}, model: false, roundsDone: 0, trained: false },
    ...{ continues: null, continuedBy: null, checkpoint: null, resumedFrom: null, stalled: 0 },
    ...{ nodesWanted: null, fabId: '', source: null, resume: 'none', resumeRound: 0, resumeByHand: false },
  };
}

/** Has a run begin with a checkpoint of another one. A ServerApp may have told of rounds already. */
export function beginAt(record: RunRecord, continues: string, round: number): void {
  record.continues = continues;
  if (round === 0) return;
  record.resumedFrom = round;
  record.round = Math.max(record.round, round);
  record.roundsDone = Math.max(record.roundsDone, round);
  record.checkpoint = Math.max(record.checkpoint ?? 0, round);
}

/** Of so many runs that did not complete the uploaded app is kept, so that they can be resumed by hand. */
const mostUploads = 3;

/** The uploaded apps that may have to be submitted again. */
export function neededUploads(runs: readonly RunRecord[]): Set<string> {
  const open = runs.filter(run => run.status !== 'completed' && run.continuedBy === null && run.source?.upload);
  const ended = open.filter(run => run.endedAt !== null && run.resume === 'none');
  const dropped = new Set(ended.slice(0, Math.max(0, ended.length - mostUploads)));
  return new Set(open.flatMap(run => (dropped.has(run) ? [] : (run.source?.upload ?? []))));
}

/**
 * Runs whose training has been completed by others in their place, which hold copies of their checkpoints. One that was
 * gone back in has checkpoints of its own.
 */
export function superseded(runs: readonly RunRecord[]): string[] {
  const isSuperseded = (run: RunRecord): boolean => {
    const next = runs.find(({ runId }) => runId === run.continuedBy);
    if (!next || run.status === 'completed' || (next.resumedFrom ?? 0) < (run.checkpoint ?? 0)) return false;
    return next.status === 'completed' || isSuperseded(next);
  };
  return runs.filter(isSuperseded).map(({ runId }) => runId);
}

/** At most so many runs, oldest left out first, but none that has not ended or is among Flower's newest. */
export function withoutOld(
  runs: readonly RunRecord[],
  newest: readonly { runId: string }[],
  most: number,
): RunRecord[] {
  const kept = new Set(newest.map(({ runId }) => runId));
  const old = runs.filter(({ runId, endedAt, resume }) => endedAt !== null && resume === 'none' && !kept.has(runId));
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
      return RunState.parse({ fromVariables: 'none', runs: [] });
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
