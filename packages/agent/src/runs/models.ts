import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type EventData, ModelManifest, messageOf, OneFlowerError } from '@oneflower/contract';
import { stateWriteFailed, syncFolder, writeFileAtomic } from '../files.ts';
import type { Layout } from '../layout.ts';

const modelFile = 'model.npz';
const manifestFile = 'manifest.json';
/** A larger file is not taken from an app: it would fill the VM's disk. */
const largestModel = 64 * 1024 ** 3;

/**
 * Keeps the model that an app says it has written: copied out of the apps' reach, with its checksum and a manifest.
 * The manifest is written last, so a model with one is whole. The app's file is removed.
 *
 * @throws OneFlowerError `model-refused` when the event names no plain file of the apps' folder; `state_write_failed`.
 */
export async function keepModel(
  layout: Layout,
  written: EventData<'model_written'>,
  about: { app: string; flowerVersion: string; savedAt: string },
): Promise<ModelManifest> {
  const { run_id: runId, file, round, metrics, details } = written;
  const name = basename(file);
  if (!/^\d{1,20}$/.test(runId) || name.startsWith('.') || name === '') {
    throw refused(`run ${runId} names the file ${JSON.stringify(file)}`);
  }
  const from = await openFolder(layout.appModels);
  try {
    // By the handle: the folder is that of Flower's user, who may put a link to another one in its place.
    const source = `/proc/self/fd/${from.fd}/${name}`;
    const folder = join(layout.models, runId);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const copied = await copyHashed(source, join(folder, modelFile));
    const manifest = { runId, ...about, file: modelFile, ...copied, round, metrics, details };
    await writeFileAtomic(join(folder, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600 });
    await rm(source, { force: true });
    return manifest;
  } finally {
    await from.close();
  }
}

/** The models that are kept, newest first. A folder without a readable manifest is none. */
export async function listModels(layout: Layout): Promise<ModelManifest[]> {
  const names = await readdir(layout.models).catch(() => []);
  const manifests = await Promise.all(names.map(name => readManifest(join(layout.models, name, manifestFile))));
  return manifests.filter(manifest => manifest !== undefined).sort((a, b) => b.savedAt.localeCompare(a.savedAt));
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

/** Copies a plain file, never through a link that an app may have put there. */
async function copyHashed(source: string, target: string): Promise<{ bytes: number; sha256: string }> {
  const temporary = `${target}.new`;
  const from = await open(source, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: unknown) => {
      throw refused(`its file cannot be opened: ${messageOf(error)}`);
    },
  );
  try {
    const stat = await from.stat();
    if (!stat.isFile() || stat.size > largestModel) throw refused('its file is no plain file of a fit size');
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
    return { bytes: stat.size, sha256: hash.digest('hex') };
  } catch (error) {
    await rm(temporary, { force: true });
    throw error instanceof OneFlowerError ? error : stateWriteFailed(target, error);
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
