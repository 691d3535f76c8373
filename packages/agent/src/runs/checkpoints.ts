import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { type CheckpointSummary, messageOf, OneFlowerError } from '@oneflower/contract';
import * as z from 'zod';
import type { FileOwner } from '../files.ts';

const metrics = z
  .record(z.string().max(100), z.number())
  .refine(values => Object.keys(values).length <= 1000, 'more than 1000 metrics');

/**
 * What our code inside Flower writes beside a checkpoint, as far as the agent needs it for all at once. Apps may write
 * anything.
 */
const CheckpointManifest = z.object({
  format: z.literal(1),
  app: z.string().max(200).nullable(),
  framework: z.string().max(100).nullish(),
  strategy: z.string().max(100),
  round: z.int().min(0),
  num_rounds: z.int().min(0),
  file: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.npz$/),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.int().min(0),
  metrics,
  best: z.object({ round: z.int(), metric: z.string().max(100), value: z.number() }).nullish(),
  is_best: z.boolean(),
  is_final: z.boolean(),
  saved_at: z.iso.datetime({ offset: true }),
});

/** What a model card says beyond that. It may be long: it is read of one checkpoint at a time. */
const CheckpointDetails = z.object({
  details: z.record(z.string(), z.unknown()).catch({}),
  history: z.array(z.unknown()).catch([]),
  node_examples: z.record(z.string(), z.int()).catch({}),
  versions: z.record(z.string(), z.string()).catch({}),
  privacy: z.record(z.string(), z.number()).catch({}),
});

/** A checkpoint in the folder of a run. */
export interface Checkpoint extends z.infer<typeof CheckpointManifest> {
  runId: string;
  /** Name of the manifest in the run's folder. */
  manifestFile: string;
}

const largestManifest = 16 * 1024 * 1024;
const mostManifests = 1000;
const isRunId = /^\d{1,20}$/;

/** Runs that have a folder in that of the checkpoints. */
export async function runsWithCheckpoints(root: string): Promise<string[]> {
  return (await readdir(root).catch(() => [])).filter(name => isRunId.test(name));
}

/** Removes all checkpoints of runs, as the user that has written them: root would follow links that they may hold. */
export async function dropCheckpoints(
  root: string,
  runIds: readonly string[],
  owner: FileOwner | undefined,
): Promise<void> {
  const there = new Set(await runsWithCheckpoints(root));
  const folders = runIds.filter(runId => there.has(runId)).map(runId => `${root}/${runId}`);
  if (folders.length === 0) return;
  const options = { ...owner, cwd: '/', env: { PATH: '/usr/bin:/bin' } };
  await new Promise<void>(resolve => execFile('rm', ['-rf', '--', ...folders], options, () => resolve()));
}

/** The checkpoints of a run, first round first. What is no checkpoint is passed over; links are never followed. */
export async function readCheckpoints(root: string, runId: string): Promise<Checkpoint[]> {
  const found = await inFolder(root, runId, async folder => {
    const names = (await readdir(folder)).filter(name => /^[A-Za-z0-9][\w.-]*\.json$/.test(name));
    const checkpoints: Checkpoint[] = [];
    // One after the other: an app may have filled each of them to the brim.
    for (const name of names.sort().slice(-mostManifests))
      checkpoints.push(...(await readManifest(folder, name, runId)));
    return checkpoints;
  }).catch((): Checkpoint[] => []);
  return found.sort((a, b) => a.round - b.round);
}

/**
 * Opens the arrays of a checkpoint; the caller closes them.
 *
 * @throws OneFlowerError `checkpoint-damaged` when they are no plain file of the size that the manifest says.
 */
export async function openCheckpoint(root: string, { runId, file, bytes }: Checkpoint): Promise<FileHandle> {
  let arrays: FileHandle | undefined;
  try {
    arrays = await inFolder(root, runId, folder => openPlain(`${folder}/${file}`));
    const { size } = await arrays.stat();
    if (size === bytes) return arrays;
    throw new Error(`it has ${size} bytes instead of ${bytes}`);
  } catch (error) {
    await arrays?.close();
    throw damaged(runId, file, messageOf(error));
  }
}

/**
 * Reads a checkpoint's arrays through and compares their SHA-256 with the manifest's.
 *
 * @throws OneFlowerError `checkpoint-damaged`
 */
export async function verifyCheckpoint(root: string, checkpoint: Checkpoint): Promise<void> {
  const arrays = await openCheckpoint(root, checkpoint);
  try {
    const hash = createHash('sha256');
    for await (const chunk of arrays.createReadStream({ autoClose: false })) hash.update(chunk);
    if (hash.digest('hex') !== checkpoint.sha256)
      throw damaged(checkpoint.runId, checkpoint.file, 'its SHA-256 is not that of its manifest');
  } finally {
    await arrays.close();
  }
}

/**
 * A checkpoint's manifest as it was written.
 *
 * @throws OneFlowerError `checkpoint-damaged` when it is gone.
 */
export async function manifestText(root: string, { runId, manifestFile }: Checkpoint): Promise<string> {
  try {
    return await inFolder(root, runId, async folder => {
      const file = await openPlain(`${folder}/${manifestFile}`);
      try {
        if ((await file.stat()).size > largestManifest) throw new Error('it is too large');
        return await file.readFile('utf8');
      } finally {
        await file.close();
      }
    });
  } catch (error) {
    throw damaged(runId, manifestFile, messageOf(error));
  }
}

/** What a model card says of a checkpoint beyond its summary. @throws OneFlowerError `checkpoint-damaged` */
export async function checkpointDetails(
  root: string,
  checkpoint: Checkpoint,
): Promise<z.infer<typeof CheckpointDetails>> {
  const text = await manifestText(root, checkpoint);
  try {
    return CheckpointDetails.parse(JSON.parse(text));
  } catch {
    throw damaged(checkpoint.runId, checkpoint.manifestFile, 'it is no JSON object');
  }
}

export function checkpointSummary(checkpoint: Checkpoint): CheckpointSummary {
  const { round, bytes, saved_at: savedAt, is_best: best, is_final: final } = checkpoint;
  return { round, bytes, savedAt, best, final, metrics: checkpoint.metrics };
}

/** The checkpoint of a manifest; none where it is not as it should be. */
async function readManifest(folder: string, name: string, runId: string): Promise<Checkpoint[]> {
  const file = await openPlain(`${folder}/${name}`).catch(() => undefined);
  if (!file) return [];
  try {
    if ((await file.stat()).size > largestManifest) return [];
    const parsed = CheckpointManifest.safeParse(JSON.parse(await file.readFile('utf8')));
    return parsed.success ? [{ ...parsed.data, runId, manifestFile: name }] : [];
  } catch {
    return [];
  } finally {
    await file.close();
  }
}

/** Works in a run's folder by its handle: the folders are those of Flower's user, who may put links in their place. */
async function inFolder<T>(root: string, runId: string, work: (folder: string) => Promise<T>): Promise<T> {
  if (!isRunId.test(runId)) throw new Error(`${JSON.stringify(runId.slice(0, 40))} is no run`);
  const all = await openFolder(root);
  try {
    const one = await openFolder(`/proc/self/fd/${all.fd}/${runId}`);
    try {
      return await work(`/proc/self/fd/${one.fd}`);
    } finally {
      await one.close();
    }
  } finally {
    await all.close();
  }
}

function openFolder(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

async function openPlain(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw new Error('it is no plain file');
}

function damaged(runId: string, file: string, why: string): OneFlowerError {
  return new OneFlowerError({
    code: 'checkpoint-damaged',
    message: `The checkpoint ${runId}/${file} cannot be used: ${why}.`,
    remedy: 'See what else there is with oneflower run checkpoints.',
  });
}
