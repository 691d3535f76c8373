import { isOneFlowerError, messageOf } from '@oneflower/contract';
import { type Checkpoint, readCheckpoints, runsWithCheckpoints, verifyCheckpoint } from './checkpoints.ts';

/** What a checkpoint has to be of. */
export interface WantedTraining {
  app: string;
  strategy: string;
  framework: string;
  /** Rounds that it is to have, with those of the checkpoint. */
  rounds: number;
}

/**
 * Looks on the disk of the checkpoints for a training of another VM that was never finished, and for the checkpoint to
 * go on from. The run that was at work last decides: what it continued lies there too.
 *
 * @param known runs of this VM, which are not looked at.
 */
export async function findUnfinished(
  folder: string,
  wanted: WantedTraining,
  known: ReadonlySet<string>,
): Promise<{ checkpoint?: Checkpoint; words: string }> {
  const runIds = (await runsWithCheckpoints(folder)).filter(runId => !known.has(runId));
  const ofApp: Checkpoint[][] = [];
  for (const runId of runIds) {
    const checkpoints = await readCheckpoints(folder, runId);
    if (checkpoints.at(-1)?.app === wanted.app) ofApp.push(checkpoints);
  }
  const newest = ofApp.sort((a, b) => savedAt(a) - savedAt(b)).at(-1);
  const last = newest?.at(-1);
  if (!newest || !last) return fresh(`there is no checkpoint of ${wanted.app} from before`);
  if (last.is_final || last.round >= last.num_rounds)
    return fresh(`the run ${last.runId} of before has done all of its ${last.num_rounds} rounds`);
  if (last.round >= wanted.rounds)
    return fresh(
      `the run ${last.runId} of before has done round ${last.round}, and FL_NUM_ROUNDS is ${wanted.rounds} now`,
    );
  const other = differenceOf(last, wanted);
  if (other !== undefined) return fresh(`the checkpoints of run ${last.runId} are of ${other}`);
  const refusals: string[] = [];
  for (const checkpoint of newest.toReversed()) {
    const refusal = await refusalOf(folder, checkpoint);
    if (refusal === undefined) {
      const words = `Training goes on from round ${checkpoint.round} of ${wanted.rounds}, where run ${checkpoint.runId} of an earlier VM was interrupted.`;
      return { checkpoint, words: [...refusals, words].join(' ') };
    }
    refusals.push(refusal);
  }
  return fresh(`no checkpoint of run ${last.runId} is sound: ${refusals.join(' ')}`);
}

function fresh(why: string): { words: string } {
  return { words: `Training starts fresh: ${why}.` };
}

function differenceOf({ strategy, framework }: Checkpoint, wanted: WantedTraining): string | undefined {
  if (strategy !== wanted.strategy) return `the strategy ${strategy}, and FL_STRATEGY is ${wanted.strategy} now`;
  if (framework && framework !== wanted.framework)
    return `the framework ${framework}, and ML_FRAMEWORK is ${wanted.framework} now`;
  return undefined;
}

async function refusalOf(folder: string, checkpoint: Checkpoint): Promise<string | undefined> {
  try {
    await verifyCheckpoint(folder, checkpoint);
    return undefined;
  } catch (error) {
    return isOneFlowerError(error) ? error.message : messageOf(error);
  }
}

function savedAt(checkpoints: readonly Checkpoint[]): number {
  return Date.parse(checkpoints.at(-1)?.saved_at ?? '') || 0;
}
