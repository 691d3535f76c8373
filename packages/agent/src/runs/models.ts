import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type EventData, ModelManifest, ModelSummary, messageOf, OneFlowerError } from '@oneflower/contract';
import * as z from 'zod';
import { stateWriteFailed, syncFolder, writeFileAtomic } from '../files.ts';
import type { Layout } from '../layout.ts';
import type { Log } from '../log/log.ts';

const modelFile = 'model.npz';
const manifestFile = 'manifest.json';
/** A larger file is not taken from an app: it would fill the VM's disk. */
const largestModel = 64 * 1024 ** 3;
/** With these the answer that describes a model stays below the 16 MiB that a client takes. */
const largestDetails = 12 * 1024 ** 2;

const Details = z.record(z.string(), z.unknown());
type Details = z.infer<typeof Details>;

interface KeepParts {
  layout: Layout;
  log: Pick<Log, 'warning'>;
}

/**
 * Keeps the model that an app says it has written: copied out of the apps' reach, with its checksum and a manifest, in
 * which the details are that lie beside it. Without sound ones it is kept all the same, and the log says so. The
 * manifest is written last, so a model with one is whole. The app's files are removed.
 *
 * @throws OneFlowerError `model-refused` when the event names no plain file of the apps' folder; `state_write_failed`.
 */
export async function keepModel(
  { layout, log }: KeepParts,
  written: EventData<'model_written'>,
  about: { app: string; flowerVersion: string; savedAt: string },
): Promise<ModelManifest> {
  const { run_id: runId, file, round, metrics } = written;
  const name = basename(file);
  if (!/^\d{1,20}$/.test(runId) || name.startsWith('.') || name === '') {
    throw refused(`run ${runId} names the file ${JSON.stringify(file)}`);
  }
  const from = await openFolder(layout.appModels);
  try {
    // By the handle: the folder is that of Flower's user, who may put a link to another one in its place.
    const source = `/proc/self/fd/${from.fd}/${name}`;
    const told = `${source.replace(/\.npz$/, '')}.json`;
    const folder = join(layout.models, runId);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const copied = await copyHashed(source, join(folder, modelFile));
    const details = await readDetails(told).catch((error: unknown): Details => {
      log.warning(`What the app of run ${runId} tells of its model is not kept: ${messageOf(error)}.`);
      return {};
    });
    const manifest = { runId, ...about, file: modelFile, ...copied, round, metrics, details };
    await writeFileAtomic(join(folder, manifestFile), JSON.stringify(manifest), { mode: 0o600 });
    // In this order: as long as the arrays are there they are kept anew after a crash, with their details.
    await rm(source, { force: true });
    // A folder in its place stays: root does not go through what is Flower's user's.
    await rm(told, { force: true }).catch(() => undefined);
    return manifest;
  } finally {
    await from.close();
  }
}

/** The models that are kept, newest first. A folder without a readable manifest is none. */
export async function listModels(layout: Layout): Promise<ModelSummary[]> {
  const models: ModelSummary[] = [];
  // One after the other: their details, which may be long, are not to be in memory together.
  for (const name of await readdir(layout.models).catch(() => [])) {
    const manifest = await readManifest(join(layout.models, name, manifestFile));
    if (manifest) models.push(ModelSummary.parse(manifest));
  }
  return models.sort((a, b) => b.savedAt.localeCompare(a.savedAt));
}

/** A run's model and its manifest, or undefined when none is kept. */
export async function modelFileOf(
  layout: Layout,
  runId: string,
): Promise<{ path: string; manifest: ModelManifest } | undefined> {
  if (!/^\d{1,20}$/.test(runId)) return undefined;
  const manifest = await readManifest(join(layout.models, runId, manifestFile));
  return manifest && { path: join(layout.models, runId, modelFile), manifest };
}

async function readManifest(file: string): Promise<ModelManifest | undefined> {
  try {
    return ModelManifest.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    return undefined;
  }
}

/** A folder itself, never one that a link leads to. */
function openFolder(path: string): Promise<FileHandle> {
  return open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW).catch((error: unknown) => {
    throw refused(`the folder of the models cannot be opened: ${messageOf(error)}`);
  });
}

/** What an app tells of its model, as it has left it in a file: it may hold anything. */
async function readDetails(source: string): Promise<Details> {
  const { file, size } = await openPlain(source, largestDetails);
  try {
    const text = Buffer.alloc(size);
    await file.read(text, 0, size, 0);
    const details = Details.parse(JSON.parse(text.toString('utf8')));
    // What is nested too deeply to be written again is found out here.
    JSON.stringify(details);
    return details;
  } catch {
    throw new Error('its file holds no JSON object');
  } finally {
    await file.close();
  }
}

/** Opens a plain file, never through a link that an app may have put there. */
async function openPlain(path: string, largest: number): Promise<{ file: FileHandle; size: number }> {
  const mode = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, mode).catch((error: unknown) => {
    throw new Error(`its file cannot be opened: ${messageOf(error)}`);
  });
  const stat = await file.stat();
  if (stat.isFile() && stat.size <= largest) return { file, size: stat.size };
  await file.close();
  throw new Error('its file is no plain file of a fit size');
}

async function copyHashed(source: string, target: string): Promise<{ bytes: number; sha256: string }> {
  const temporary = `${target}.new`;
  const { file: from, size } = await openPlain(source, largestModel).catch((error: unknown) => {
    throw refused(messageOf(error));
  });
  try {
    const hash = createHash('sha256');
    const to = await open(temporary, 'w', 0o600);
    try {
      for await (const chunk of from.createReadStream({ autoClose: false })) {
        hash.update(chunk);
        await to.writeFile(chunk);
      }
      await to.sync();
    } finally {
      await to.close();
    }
    await rename(temporary, target);
    await syncFolder(join(target, '..'));
    return { bytes: size, sha256: hash.digest('hex') };
  } catch (error) {
    await rm(temporary, { force: true });
    throw stateWriteFailed(target, error);
  } finally {
    await from.close();
  }
}

function refused(why: string): OneFlowerError {
  return new OneFlowerError({
    code: 'model-refused',
    message: `The model that an app has written is not kept: ${why}.`,
    remedy: 'Correct the app and submit the run again.',
  });
}
