import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { messageOf, OneFlowerError, type RunLogs, type RunSummary, runConfigOf } from '@oneflower/contract';
import { removeHandedOver } from '../files.ts';
import type { ControlApi } from '../flower-control/types.ts';
import type { Guest } from '../guest.ts';
import type { FlowerSetting } from '../supervision/flower.ts';
import { RunKeeper } from './keeper.ts';
import { RunLogBook } from './logs.ts';
import { chownAll, copyApp, submitRun } from './submit.ts';
import { unpackArchive } from './unpack.ts';

export interface RunServiceParts {
  guest: Guest;
  control(): ControlApi;
  flower(): FlowerSetting;
  onlineNodes(): number;
}

/** The runs of a SuperLink: those of the variables and those of operators. */
export class RunService {
  readonly keeper: RunKeeper;
  readonly #parts: RunServiceParts;
  readonly #logs: RunLogBook;

  private constructor(parts: RunServiceParts, keeper: RunKeeper) {
    this.#parts = parts;
    this.keeper = keeper;
    this.#logs = new RunLogBook(parts.guest.layout, parts.guest.log);
  }

  static async open(parts: RunServiceParts): Promise<RunService> {
    const { guest, control, onlineNodes } = parts;
    const keeper = await RunKeeper.open({
      layout: guest.layout,
      clock: guest.clock,
      log: guest.log,
      events: guest.events,
      settings: () => guest.settings,
      flowerVersion: () => guest.release.version,
      control,
      onlineNodes,
      submitUseCase: () => submitUseCase(parts),
    });
    return new RunService(parts, keeper);
  }

  /**
   * Hands an uploaded app to Flower.
   *
   * @throws OneFlowerError `archive-refused`, `run-config-refused`, `run-refused`
   */
  async submit(archive: Readable, runConfig: readonly string[]): Promise<RunSummary> {
    for (const pair of runConfig) assertPair(pair);
    const { guest } = this.#parts;
    const folder = join(guest.layout.runs, `upload-${randomBytes(6).toString('hex')}`);
    await mkdir(folder, { mode: 0o700 });
    try {
      await unpackArchive(archive, folder);
      if (guest.owner) await chownAll(folder, guest.owner);
      const runId = await submitRun(this.#parts.flower(), guest.layout.root, folder, runConfig);
      return await this.keeper.add(runId, await appName(folder), 'operator');
    } finally {
      await removeHandedOver(folder, guest.owner).catch((error: unknown) => {
        guest.log.warning(`The uploaded app in ${folder} cannot be removed: ${messageOf(error)}.`);
      });
    }
  }

  /** @throws OneFlowerError `run-unknown`, `run-ended` */
  async stop(runId: string): Promise<void> {
    const run = this.#known(runId);
    if (run.endedAt !== null) {
      throw new OneFlowerError({ code: 'run-ended', message: `Run ${runId} has ended already.`, fault: 'user' });
    }
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
    throw new OneFlowerError({ code: 'run-unknown', message: `There is no run ${runId}.`, fault: 'user' });
  }
}

async function submitUseCase({ guest, flower }: RunServiceParts): Promise<string> {
  const app = await copyApp(guest.layout, guest.settings.FL_USE_CASE, guest.owner);
  return submitRun(flower(), guest.layout.root, app, runConfigOf(guest.settings));
}

function assertPair(pair: string): void {
  if (/^[A-Za-z0-9._-]+=[^\0-\x1f]*$/.test(pair) && pair.length <= 4096) return;
  throw new OneFlowerError({
    code: 'run-config-refused',
    message: `${JSON.stringify(pair.slice(0, 100))} is no KEY=VALUE.`,
    fault: 'user',
  });
}

/** The name that an app's pyproject.toml gives itself. */
async function appName(folder: string): Promise<string> {
  const text = await readFile(join(folder, 'pyproject.toml'), 'utf8').catch(() => '');
  return /^\s*name\s*=\s*["']([^"'\n]{1,100})["']/m.exec(text)?.[1] ?? 'app';
}
