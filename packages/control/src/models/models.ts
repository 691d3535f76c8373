import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import {
  isOneFlowerError,
  type ModelFormat,
  type ModelManifest,
  type ModelSummary,
  OneFlowerError,
} from '@oneflower/contract';
import { writeFailure } from '../files.ts';
import type { ModelStream, OperatorClient, WhichModel } from '../operator/client.ts';
import { type RunsContext, withOperator } from '../runs/runs.ts';
import { type ModelCard, modelCard, renderCard } from './card.ts';

/** The kept models of a service, latest first. */
export function listModels(context: RunsContext): Promise<ModelSummary[]> {
  return withOperator(context, async operator => latestFirst(await operator.models()));
}

export interface DownloadRequest {
  /** The latest model when no run is named. */
  runId?: string | undefined;
  /** That of the run's end unless another one is meant. */
  which?: WhichModel | undefined;
  /** Named arrays unless the format of a framework is meant. */
  format?: ModelFormat | undefined;
  /** File, or folder (one that is there, or a path that ends in a slash); by default the current folder. */
  output?: string | undefined;
}

/** What lies on this machine after a download. */
export interface Downloaded {
  manifest: ModelManifest;
  path: string;
  bytes: number;
  sha256: string;
  card: ModelCard;
  /** The card in Markdown and as JSON, beside the model. */
  cardFiles: [string, string];
}

/**
 * Downloads a model into a file that appears only when it is whole and its SHA-256 is right, with a model card.
 * @throws OneFlowerError `model-not-found`, `model-damaged`, `file-write`, and what the SuperLink says against it.
 */
export function downloadModel(context: RunsContext, request: DownloadRequest): Promise<Downloaded> {
  const { which = 'final', format = 'npz' } = request;
  return withOperator(context, async operator => {
    const { manifest, isFile } = await findModel(operator, context.service, request.runId, which);
    const path = await targetPath(request.output, context.service, manifest, which, format);
    const draft = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.part`);
    try {
      await mkdir(dirname(path), { recursive: true });
      const stream = await operator.modelFile(manifest.runId, which, format, context.signal);
      if (format === 'npz' && isFile) assertSame(stream, manifest);
      const received = await receive(stream, manifest.runId, basename(path), draft, context.notify);
      await rename(draft, path);
      const card = modelCard(manifest, { format, ...received });
      return { manifest, path, ...received, card, cardFiles: await writeCard(card, path) };
    } catch (error) {
      await rm(draft, { force: true });
      if (isOneFlowerError(error) || context.signal?.aborted) throw error;
      throw writeFailure(path, error);
    }
  });
}

/** The manifest, and whether it is that of a file of its own: a checkpoint's holds more than the model. */
async function findModel(
  operator: OperatorClient,
  service: string,
  runId: string | undefined,
  which: WhichModel,
): Promise<{ manifest: ModelManifest; isFile: boolean }> {
  const models = latestFirst(await operator.models());
  const final = runId === undefined ? models[0] : models.find(model => model.runId === runId);
  const meant = runId ?? final?.runId ?? (await operator.runs()).at(0)?.runId;
  if (meant === undefined) throw notFound(service);
  const manifest = await operator.model(meant, which);
  if (manifest.runId === meant) return { manifest, isFile: which === 'final' && final !== undefined };
  throw damaged(meant, 'Another model was described than the one that was asked for.');
}

function assertSame({ sha256, length }: ModelStream, manifest: ModelManifest): void {
  if (sha256 === manifest.sha256 && length === manifest.bytes) return;
  throw damaged(manifest.runId, 'Its size or SHA-256 is not that of its manifest.');
}

async function receive(
  { chunks, length, sha256 }: ModelStream,
  runId: string,
  name: string,
  draft: string,
  notify: RunsContext['notify'],
): Promise<{ bytes: number; sha256: string }> {
  if (length === null) throw damaged(runId, 'Its size was not told.');
  const file = await open(draft, 'wx', 0o644);
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > length) break;
      hash.update(chunk);
      await writeAll(file, chunk);
      notify({ type: 'download_progress', file: name, bytes, of: length });
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (bytes === length && hash.digest('hex') === sha256) return { bytes, sha256 };
  throw damaged(runId, 'Its size or SHA-256 is not that which was announced.');
}

async function writeAll(file: FileHandle, chunk: Buffer): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
}

async function writeCard(card: ModelCard, model: string): Promise<[string, string]> {
  const start = model.replace(/(\.tar)?\.\w+$/, '');
  const files: [string, string] = [`${start}.card.md`, `${start}.card.json`];
  await writeFile(files[0], renderCard(card));
  await writeFile(files[1], `${JSON.stringify(card, null, 2)}\n`);
  return files;
}

const endings: Readonly<Record<ModelFormat, string>> = {
  npz: '.npz',
  pt: '.pt',
  joblib: '.joblib',
  keras: '.keras',
  peft: '.tar.gz',
};

/** `SERVICE-RUN.npz`, or `SERVICE-RUN-round-6.npz`. */
async function targetPath(
  output: string | undefined,
  service: string,
  { runId, round }: ModelManifest,
  which: WhichModel,
  format: ModelFormat,
): Promise<string> {
  const part = which === 'final' ? '' : `-round-${round}`;
  const name = `${service}-${runId.replace(/\W/g, '_')}${part}${endings[format]}`;
  if (output === undefined) return resolve(name);
  const isFolder = await stat(output).then(
    found => found.isDirectory(),
    () => output.endsWith('/'),
  );
  return isFolder ? resolve(output, name) : resolve(output);
}

function damaged(runId: string, reason: string): OneFlowerError {
  return new OneFlowerError({
    code: 'model-damaged',
    message: `The model of run ${runId} did not arrive as it was sent.`,
    reason,
    remedy: 'Download it again; nothing was kept.',
  });
}

function notFound(service: string): OneFlowerError {
  return new OneFlowerError({
    code: 'model-not-found',
    message: `The service ${service} has no model yet.`,
    reason: 'It has had no run.',
    remedy: 'Submit one with oneflower run submit, or set FL_USE_CASE.',
    fault: 'user',
  });
}

function latestFirst(models: ModelSummary[]): ModelSummary[] {
  return models.toSorted((a, b) => b.savedAt.localeCompare(a.savedAt));
}
