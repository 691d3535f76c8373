import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import {
  type CheckpointSummary,
  OneFlowerError,
  type RunHistory,
  type RunLogs,
  type RunSummary,
  runConfigOf,
} from '@oneflower/contract';
import type { ControlApi } from '../flower-control/types.ts';
import type { Guest } from '../guest.ts';
import { checkpointsOf } from '../layout.ts';
import type { FlowerSetting } from '../supervision/flower.ts';
import { readApp, runConfigFrom, sourceOf } from './app.ts';
import { checkpointSummary, dropCheckpoints } from './checkpoints.ts';
import { RunKeeper } from './keeper.ts';
import { RunLogBook } from './logs.ts';
import { ModelFiles, removeLeftExports } from './model-files.ts';
import { unknownRun } from './refusals.ts';
import type { RunSource } from './store.ts';
import { copyApp, submitRun } from './submit.ts';
import { assertTakesCheckpoint, Uploads } from './uploads.ts';

/** A checkpoint as an operator names it: of a run, the last one unless a round is given. */
export interface CheckpointChoice {
  runId: string;
  round?: number | undefined;
}

export interface RunServiceParts {
  guest: Guest;
  control(): ControlApi;
  flower(): FlowerSetting;
  onlineNodes(): number;
}

/** The runs of a SuperLink: those of the variables and those of operators. */
export class RunService {
  readonly keeper: RunKeeper;
  readonly models: ModelFiles;
  readonly #parts: RunServiceParts;
  readonly #logs: RunLogBook;
  readonly #uploads: Uploads;

  private constructor(parts: RunServiceParts, keeper: RunKeeper, uploads: Uploads) {
    this.#parts = parts;
    this.keeper = keeper;
    this.#uploads = uploads;
    this.models = new ModelFiles({ ...parts, keeper });
    this.#logs = new RunLogBook(parts.guest.layout, parts.guest.log);
  }

  static async open(parts: RunServiceParts): Promise<RunService> {
    const { guest, control, onlineNodes } = parts;
    const uploads = new Uploads(guest.layout, guest.owner, guest.log);
    await removeLeftExports(guest);
    const keeper = await RunKeeper.open({
      layout: guest.layout,
      clock: guest.clock,
      log: guest.log,
      events: guest.events,
      settings: () => guest.settings,
      flowerVersion: () => guest.release.version,
      control,
      onlineNodes,
      readJournal: guest.readJournal,
      checkpoints: () => checkpointsOf(guest.layout, guest.settings),
      useCase: () => useCaseSource(guest),
      submit: (app, source, from) => submitSource(parts, uploads, app, source, from),
      keepUploads: needed => uploads.keepOnly(needed),
      async dropCheckpoints(runIds) {
        const folder = checkpointsOf(guest.layout, guest.settings);
        if (folder !== undefined) await dropCheckpoints(folder, runIds, guest.owner);
      },
    });
    return new RunService(parts, keeper, uploads);
  }

  /**
   * Hands an uploaded app to Flower, which begins with a checkpoint where one is chosen.
   *
   * @throws OneFlowerError `archive-refused`, `run-config-refused`, `run-refused`, `run-unknown`, `checkpoint-unknown`
   */
  async submit(archive: Readable, runConfig: readonly string[], choice?: CheckpointChoice): Promise<RunSummary> {
    for (const pair of runConfig) assertPair(pair);
    const checkpoint = choice && (await this.keeper.checkpoint(choice.runId, choice.round));
    return this.#uploads.take(archive, async (upload, app) => {
      const source = sourceOf(app, upload, runConfig);
      if (checkpoint) assertTakesCheckpoint(app, source, checkpoint);
      const from = checkpoint ? `${checkpoint.runId}/${checkpoint.file}` : '';
      return this.keeper.inTurn(async () => {
        const runId = await submitSource(this.#parts, this.#uploads, app.name, source, from);
        const begins = choice && checkpoint && { runId: choice.runId, round: checkpoint.round };
        return this.keeper.add(runId, { app: app.name, by: 'operator', source, from: begins });
      });
    });
  }

  /** Lets a run that has ended go on, from its last checkpoint or that of a round; see {@link RunKeeper.resume}. */
  resume(runId: string, round: number | undefined): Promise<RunSummary> {
    return this.keeper.resume(runId, round);
  }

  /** @throws OneFlowerError `run-unknown` */
  async checkpoints(runId: string): Promise<CheckpointSummary[]> {
    return (await this.keeper.checkpoints(runId)).map(checkpointSummary);
  }

  /** @throws OneFlowerError `run-unknown` */
  history(runId: string): Promise<RunHistory> {
    return this.keeper.history(runId);
  }

  /** @throws OneFlowerError `run-unknown`, `run-ended` */
  async stop(runId: string): Promise<void> {
    const run = this.#known(runId);
    if (run.endedAt !== null) return this.keeper.dropResume(runId);
    await this.#parts.control().stopRun(runId);
    await this.keeper.tick();
  }

  /** @throws OneFlowerError `run-unknown` */
  async logs(runId: string, after: number): Promise<RunLogs> {
    this.#known(runId);
    return this.#logs.read(this.#parts.control(), runId, after);
  }

  async close(): Promise<void> {
    await this.#logs.close();
    await this.keeper.close();
  }

  #known(runId: string): RunSummary {
    const run = this.keeper.find(runId);
    if (run) return run;
    throw unknownRun(runId);
  }
}

async function useCaseSource({ layout, settings }: Guest): Promise<RunSource> {
  const app = await readApp(join(layout.software.apps, settings.FL_USE_CASE));
  return sourceOf(app, null, runConfigOf(settings));
}

/** @throws OneFlowerError `app-gone`, `run-refused` */
async function submitSource(
  { guest, flower }: RunServiceParts,
  uploads: Uploads,
  app: string,
  source: RunSource,
  from: string,
): Promise<string> {
  const folder = source.upload === null ? await copyApp(guest.layout, app, guest.owner) : uploads.path(source.upload);
  if (!existsSync(folder)) throw appGone(app);
  return submitRun(flower(), guest.layout.root, folder, runConfigFrom(source, from));
}

function appGone(app: string): OneFlowerError {
  return new OneFlowerError({
    code: 'app-gone',
    message: `The app ${app} of the run is no longer kept on the SuperLink.`,
    reason: 'Uploaded apps are kept until their run has ended, and of three that did not complete.',
    remedy: 'Upload it again: oneflower run submit NAME DIRECTORY --from RUN.',
    fault: 'user',
  });
}

function assertPair(pair: string): void {
  if (/^[A-Za-z0-9._-]+=[^\0-\x1f]*$/.test(pair) && pair.length <= 4096) return;
  throw new OneFlowerError({
    code: 'run-config-refused',
    message: `${JSON.stringify(pair.slice(0, 100))} is no KEY=VALUE.`,
    fault: 'user',
  });
}
