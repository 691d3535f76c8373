import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  isOneFlowerError,
  type ModelFormat,
  type ModelManifest,
  messageOf,
  OneFlowerError,
  type UseCaseName,
  useCases,
} from '@oneflower/contract';
import { removeHandedOver } from '../files.ts';
import type { Guest } from '../guest.ts';
import { checkpointsOf } from '../layout.ts';
import type { FlowerSetting } from '../supervision/flower.ts';
import { type Checkpoint, checkpointDetails, manifestText, openCheckpoint, verifyCheckpoint } from './checkpoints.ts';
import { runExport } from './export.ts';
import type { RunKeeper } from './keeper.ts';
import { modelFileOf } from './models.ts';
import { copyApp } from './submit.ts';

const workName = /^export-[0-9a-f]{12}$/;

/** Which model of a run: that of its end, of its best round, or of a round. */
export type WhichModel = 'final' | 'best' | number;

/** A file on its way to an operator; `close` removes what was made for it. */
export interface ModelDownload {
  file: FileHandle;
  bytes: number;
  sha256: string;
  /** Ending of its name, such as `.npz`. */
  ending: string;
  close(): Promise<void>;
}

export interface ModelFilesParts {
  guest: Guest;
  flower(): FlowerSetting;
  keeper: RunKeeper;
}

/** Arrays, manifest and a sum, wherever they are kept. */
interface Kept {
  manifest: ModelManifest;
  /** The manifest as the export program reads it. */
  text(): Promise<string>;
  open(): Promise<FileHandle>;
  /** In a checkpoint, arrays of the model lie beside those of the strategy. */
  isCheckpoint: boolean;
}

/** The models of runs in whatever format their app knows. */
export class ModelFiles {
  readonly #parts: ModelFilesParts;
  /** One at a time: each may load a whole framework. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: ModelFilesParts) {
    this.#parts = parts;
  }

  /** @throws OneFlowerError `run-unknown`, `model-unknown`, `checkpoint-damaged` */
  async describe(runId: string, which: WhichModel): Promise<ModelManifest> {
    return (await this.#find(runId, which)).manifest;
  }

  /**
   * The file of a model; close it.
   *
   * @throws OneFlowerError `run-unknown`, `model-unknown`, `checkpoint-damaged`, `model-format-unknown`,
   * `framework-missing`, `model-export-failed`
   */
  async open(runId: string, which: WhichModel, format: ModelFormat): Promise<ModelDownload> {
    const kept = await this.#find(runId, which);
    if (format === 'npz' && !kept.isCheckpoint) {
      const { bytes, sha256 } = kept.manifest;
      const file = await kept.open();
      return { file, bytes, sha256, ending: '.npz', close: () => file.close() };
    }
    const result = this.#turn.then(() => this.#export(kept, format));
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #find(runId: string, which: WhichModel): Promise<Kept> {
    const { guest, keeper } = this.#parts;
    const model = which === 'final' ? await modelFileOf(guest.layout, runId) : undefined;
    if (model) {
      const { manifest, path } = model;
      return { manifest, text: async () => JSON.stringify(manifest), open: () => open(path), isCheckpoint: false };
    }
    const checkpoints = await keeper.checkpoints(runId);
    const found = checkpoints.find(isMeant(which, checkpoints.at(-1)?.best?.round));
    if (!found) throw unknownModel(runId, missing(which), checkpoints);
    return this.#ofCheckpoint(runId, found);
  }

  async #ofCheckpoint(runId: string, checkpoint: Checkpoint): Promise<Kept> {
    const { guest, keeper } = this.#parts;
    const root = checkpointsOf(guest.layout, guest.settings) ?? '';
    await verifyCheckpoint(root, checkpoint);
    const { file, bytes, sha256, round, metrics, saved_at: savedAt } = checkpoint;
    const app = keeper.find(runId)?.app ?? checkpoint.app ?? '';
    const about = { runId, app, flowerVersion: guest.release.version, savedAt };
    const manifest = { ...about, file, bytes, sha256, round, metrics, details: await detailsOf(root, checkpoint) };
    const text = () => manifestText(root, checkpoint);
    return { manifest, text, open: () => openCheckpoint(root, checkpoint), isCheckpoint: true };
  }

  async #export(kept: Kept, format: ModelFormat): Promise<ModelDownload> {
    const { guest, flower } = this.#parts;
    const { layout, owner } = guest;
    const work = join(layout.runs, `export-${randomBytes(6).toString('hex')}`);
    const remove = () => removeHandedOver(work, owner);
    try {
      const app = await this.#prepare(kept, work);
      const made = await runExport(flower(), layout.root, { work, app, format });
      const file = made.file;
      const { bytes, sha256 } = await measure(file);
      const close = async () => {
        await file.close();
        await remove();
      };
      return { file, bytes, sha256, ending: made.ending, close };
    } catch (error) {
      await remove().catch(() => undefined);
      throw error;
    }
  }

  /** Copies what an export reads into its working folder; answers the use case whose code makes it. */
  async #prepare(kept: Kept, work: string): Promise<UseCaseName | undefined> {
    const { layout, owner } = this.#parts.guest;
    // An app of an operator's own names itself, perhaps `../../etc`.
    const app = Object.keys(useCases).find((name): name is UseCaseName => name === kept.manifest.app);
    try {
      await mkdir(work, { mode: 0o700 });
      await copyTo(await kept.open(), join(work, 'model.npz'));
      await writeFile(join(work, 'manifest.json'), await kept.text(), { mode: 0o600 });
      if (app !== undefined) await copyApp(layout, app, owner, join(work, 'app'));
      return app;
    } catch (error) {
      throw isOneFlowerError(error) ? error : notCopied(error);
    }
  }
}

/** Working folders of an earlier life of the agent. */
export async function removeLeftExports({ layout, owner }: Guest): Promise<void> {
  for (const name of await readdir(layout.runs).catch(() => [])) {
    if (workName.test(name)) await removeHandedOver(join(layout.runs, name), owner).catch(() => undefined);
  }
}

/** What one must know to use the arrays, and what a model card says. */
async function detailsOf(root: string, checkpoint: Checkpoint): Promise<Record<string, unknown>> {
  const { app, framework, strategy, num_rounds, best } = checkpoint;
  const spent = Object.entries(checkpoint.metrics).filter(([name]) => name.startsWith('privacy_'));
  const { details, ...about } = await checkpointDetails(root, checkpoint);
  const privacy = { ...about.privacy, ...Object.fromEntries(spent) };
  return { app, framework, strategy, num_rounds, best, ...about, privacy, ...details };
}

async function copyTo(from: FileHandle, target: string): Promise<void> {
  try {
    const source = from.createReadStream({ autoClose: false });
    await pipeline(source, createWriteStream(target, { flags: 'wx', mode: 0o600 }));
  } finally {
    await from.close();
  }
}

function notCopied(error: unknown): OneFlowerError {
  return new OneFlowerError({
    code: 'model-export-failed',
    message: `The model cannot be copied: ${messageOf(error)}.`,
    reason: 'The disk of the SuperLink may be full.',
    remedy: 'Free space on the SuperLink, then download it again.',
  });
}

async function measure(file: FileHandle): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of file.createReadStream({ autoClose: false, start: 0 })) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** A run whose final model could not be written has it in the checkpoint of its end. */
function isMeant(which: WhichModel, best: number | undefined): (checkpoint: Checkpoint) => boolean {
  if (which === 'final') return checkpoint => checkpoint.is_final;
  const round = which === 'best' ? best : which;
  return checkpoint => checkpoint.round === round;
}

function missing(which: WhichModel): string {
  if (which === 'final') return 'has left no final model';
  return which === 'best' ? 'has no checkpoint of a best round' : `has no checkpoint of round ${which}`;
}

function unknownModel(runId: string, what: string, checkpoints: readonly Checkpoint[]): OneFlowerError {
  const rounds = checkpoints.map(({ round }) => round).join(', ');
  return new OneFlowerError({
    code: 'model-unknown',
    message: `Run ${runId} ${what}.`,
    reason: rounds === '' ? 'A model is kept when a run has ended.' : `There are those of the rounds ${rounds}.`,
    remedy:
      rounds === ''
        ? 'See which runs have one with oneflower model list.'
        : 'Have one of them by --round N; oneflower run checkpoints shows their metrics.',
    fault: 'user',
  });
}
