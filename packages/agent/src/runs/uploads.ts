import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { messageOf, OneFlowerError, resumeKey } from '@oneflower/contract';
import { type FileOwner, removeHandedOver } from '../files.ts';
import type { Layout } from '../layout.ts';
import type { Log } from '../log/log.ts';
import { type AppDeclaration, readApp } from './app.ts';
import type { Checkpoint } from './checkpoints.ts';
import type { RunSource } from './store.ts';
import { chownAll } from './submit.ts';
import { unpackArchive } from './unpack.ts';

const uploadName = /^upload-[0-9a-f]{12}$/;

/** Folders with apps that operators have uploaded, kept for as long as their runs may have to be submitted again. */
export class Uploads {
  readonly #layout: Layout;
  readonly #owner: FileOwner | undefined;
  readonly #log: Log;
  /** Those that are being handed over, of which no run is known yet. */
  readonly #inHand = new Set<string>();

  constructor(layout: Layout, owner: FileOwner | undefined, log: Log) {
    this.#layout = layout;
    this.#owner = owner;
    this.#log = log;
  }

  path(name: string): string {
    return join(this.#layout.runs, name);
  }

  /**
   * Unpacks an archive and lets `use` hand the app over; the folder stays when that succeeds.
   *
   * @throws OneFlowerError `archive-refused`, and what `use` throws
   */
  async take<T>(archive: Readable, use: (name: string, app: AppDeclaration) => Promise<T>): Promise<T> {
    const name = `upload-${randomBytes(6).toString('hex')}`;
    this.#inHand.add(name);
    try {
      await mkdir(this.path(name), { mode: 0o700 });
      await unpackArchive(archive, this.path(name));
      // Before it is given away: whoever owns it may put links into it.
      const app = await readApp(this.path(name));
      if (this.#owner) await chownAll(this.path(name), this.#owner);
      return await use(name, app);
    } catch (error) {
      await this.#remove(name);
      throw error;
    } finally {
      this.#inHand.delete(name);
    }
  }

  /** Removes all but those that are named. */
  async keepOnly(needed: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#layout.runs).catch(() => [])) {
      if (uploadName.test(name) && !needed.has(name) && !this.#inHand.has(name)) await this.#remove(name);
    }
  }

  async #remove(name: string): Promise<void> {
    await removeHandedOver(this.path(name), this.#owner).catch((error: unknown) => {
      this.#log.warning(`The uploaded app in ${this.path(name)} cannot be removed: ${messageOf(error)}.`);
    });
  }
}

const roundsKey = 'num-server-rounds';

/** @throws OneFlowerError `run-config-refused` for an app that cannot be told of a checkpoint, or has no round to do after it. */
export function assertTakesCheckpoint(
  { name, config }: AppDeclaration,
  { settings }: Pick<RunSource, 'settings'>,
  { runId, round }: Pick<Checkpoint, 'runId' | 'round'>,
): void {
  if (!Object.hasOwn(config, resumeKey)) {
    throw new OneFlowerError({
      code: 'run-config-refused',
      message: `The app ${name} cannot begin with a checkpoint: it does not declare ${resumeKey}.`,
      reason: 'Flower refuses keys of the run configuration that the app does not declare.',
      remedy: `Add ${resumeKey} = "" under [tool.flwr.app.config] of its pyproject.toml, and train by Federation of oneflower.server.`,
      fault: 'user',
    });
  }
  const rounds = settings[roundsKey];
  if (typeof rounds !== 'number' || rounds > round) return;
  throw new OneFlowerError({
    code: 'run-config-refused',
    message: `No round is left to train: the checkpoint of run ${runId} is of round ${round}, and ${roundsKey} is ${rounds}.`,
    reason: 'Rounds are counted on from those of the checkpoint.',
    remedy: `Add -c ${roundsKey}=N with N above ${round}, or begin with an earlier round by --from RUN/ROUND. For its model as it is: oneflower model download NAME ${runId} --round ${round}.`,
    fault: 'user',
  });
}
