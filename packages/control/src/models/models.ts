import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { isOneFlowerError, type ModelManifest, OneFlowerError } from '@oneflower/contract';
import { writeFailure } from '../files.ts';
import type { ModelStream } from '../operator/client.ts';
import { type RunsContext, withOperator } from '../runs/runs.ts';

/** The kept models of a service, latest first. */
export function listModels(context: RunsContext): Promise<ModelManifest[]> {
  return withOperator(context, async operator => latestFirst(await operator.models()));
}

export interface DownloadRequest {
  /** The latest model when no run is named. */
  runId?: string | undefined;
  /** File, or folder (one that is there, or a path that ends in a slash); by default the current folder. */
  output?: string | undefined;
}

/**
 * Downloads a model into a file that appears only when it is whole and its SHA-256 is that of the manifest.
 * @throws OneFlowerError `model-not-found`, `model-damaged`, `file-write`.
 */
export function downloadModel(
  context: RunsContext,
  request: DownloadRequest,
): Promise<{ manifest: ModelManifest; path: string }> {
  return withOperator(context, async operator => {
    const models = latestFirst(await operator.models());
    const manifest = request.runId === undefined ? models[0] : models.find(model => model.runId === request.runId);
    if (!manifest) throw notFound(context.service, request.runId, models);
    const path = await targetPath(request.output, context.service, manifest);
    const draft = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.part`);
    try {
      await mkdir(dirname(path), { recursive: true });
      await receive(await operator.modelFile(manifest.runId, context.signal), manifest, draft, context.notify);
      await rename(draft, path);
    } catch (error) {
      await rm(draft, { force: true });
      if (isOneFlowerError(error) || context.signal?.aborted) throw error;
      throw writeFailure(path, error);
    }
    return { manifest, path };
  });
}

async function receive(
  stream: ModelStream,
  manifest: ModelManifest,
  draft: string,
  notify: RunsContext['notify'],
): Promise<void> {
  const file = await open(draft, 'wx', 0o644);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of stream.chunks) {
      bytes += chunk.length;
      if (bytes > manifest.bytes) break;
      hash.update(chunk);
      await writeAll(file, chunk);
      notify({ type: 'download_progress', file: manifest.file, bytes, of: manifest.bytes });
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (bytes === manifest.bytes && hash.digest('hex') === manifest.sha256) return;
  throw new OneFlowerError({
    code: 'model-damaged',
    message: `The model of run ${manifest.runId} did not arrive as it was sent.`,
    reason: 'Its size or SHA-256 is not that of its manifest.',
    remedy: 'Download it again; nothing was kept.',
  });
}

async function writeAll(file: FileHandle, chunk: Buffer): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
}

/** `SERVICE-RUN.npz`. The manifest comes from another machine: of its file's name only the ending is used. */
async function targetPath(
  output: string | undefined,
  service: string,
  { runId, file }: ModelManifest,
): Promise<string> {
  const ending = /\.\w{1,10}$/.exec(file)?.[0] ?? '';
  const name = `${service}-${runId.replace(/\W/g, '_')}${ending}`;
  if (output === undefined) return resolve(name);
  const isFolder = await stat(output).then(
    found => found.isDirectory(),
    () => output.endsWith('/'),
  );
  return isFolder ? resolve(output, name) : resolve(output);
}

function notFound(service: string, runId: string | undefined, models: ModelManifest[]): OneFlowerError {
  return new OneFlowerError({
    code: 'model-not-found',
    message:
      runId === undefined
        ? `The service ${service} has no model yet.`
        : `The service ${service} has no model of run ${runId}.`,
    reason:
      models.length > 0
        ? `It has those of the runs ${models.map(model => model.runId).join(', ')}.`
        : 'A model is kept when a run has ended.',
    remedy: `See oneflower run list ${service}.`,
    fault: 'user',
  });
}

function latestFirst(models: ModelManifest[]): ModelManifest[] {
  return models.toSorted((a, b) => b.savedAt.localeCompare(a.savedAt));
}
