import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, defaultFlowerVersion, messageOf } from '@oneflower/contract';
import { failure } from '../failure.ts';
import type { Layout } from '../layout.ts';
import type { Log } from '../log/log.ts';
import { failedBefore, noteFailure, retryAfterMs } from './failed.ts';
import { install } from './install.ts';
import { type Installer, readInstaller } from './installer.ts';
import { type FileLock, lockFile } from './lock.ts';
import { type FlowerRelease, installed, releaseIn } from './release.ts';

export interface ReleaseSurroundings {
  layout: Layout;
  log: Log;
  clock: Clock;
}

/**
 * The release to run: the one wanted where it is there or can be installed, else the baked one with one warning. A
 * release that could not be installed is left alone for {@link retryAfterMs}, unless pip is set up otherwise by then.
 * VMs that share their releases install each once: one does it, the others wait. The caller cuts it off by `signal`.
 *
 * @throws OneFlowerError `flower_start_failed` when not even the baked one is there.
 */
export async function resolveRelease(
  wanted: string,
  surroundings: ReleaseSurroundings,
  signal: AbortSignal,
): Promise<FlowerRelease> {
  const { layout, log } = surroundings;
  const baked = await releaseIn(layout.software.versions, defaultFlowerVersion);
  const found = await releaseIn(layout.software.versions, wanted);
  if (found) return found;
  if (!baked) {
    const message = `Flower ${defaultFlowerVersion} is not in ${layout.software.versions}.`;
    throw failure('flower_start_failed', message, {
      reason: 'The image, or the folder given with --software, is incomplete.',
      remedy: 'Use a complete image, or correct --software.',
      fault: 'user',
    });
  }
  try {
    return (await installed(layout.versions, wanted)) ?? (await installOnce(wanted, baked, surroundings, signal));
  } catch (error) {
    signal.throwIfAborted();
    log.warning(`Flower ${wanted} cannot be installed (${messageOf(error)}): ${baked.version} runs instead.`);
    return baked;
  }
}

/** Longest time that an installation, and waiting for that of another VM, may take before the baked release runs instead. */
const installMs = 240_000;

async function installOnce(
  version: string,
  baked: FlowerRelease,
  surroundings: ReleaseSurroundings,
  signal: AbortSignal,
): Promise<FlowerRelease> {
  const { layout, log, clock } = surroundings;
  const cut = new AbortController();
  const timer = clock.after(installMs, () => cut.abort(new Error('it took too long')));
  const limit = AbortSignal.any([signal, cut.signal]);
  let lock: FileLock | undefined;
  try {
    await mkdir(layout.versions, { recursive: true, mode: 0o755 });
    lock = await lockFile(join(layout.versions, `.${version}.lock`), limit, () =>
      log.info(`Another VM of this machine is installing Flower ${version}: waiting for it.`),
    );
    const byAnother = await installed(layout.versions, version);
    if (byAnother) return byAnother;
    const installer = await readInstaller(layout, baked, lock);
    return await installUnlessFailed(version, installer, surroundings, limit, signal);
  } finally {
    timer.cancel();
    await lock?.release();
  }
}

async function installUnlessFailed(
  version: string,
  installer: Installer,
  { layout, log, clock }: ReleaseSurroundings,
  limit: AbortSignal,
  signal: AbortSignal,
): Promise<FlowerRelease> {
  const failed = await failedBefore(layout.versions, version, installer.settings, clock);
  if (failed) {
    const left = Math.ceil((failed.at + retryAfterMs - clock.now()) / 60_000);
    const ago = Math.floor((clock.now() - failed.at) / 60_000);
    throw new Error(`${failed.reason}; this was ${ago} min ago, and a boot in ${left} min or later tries again`);
  }
  log.info(`Flower ${version} is not baked in: installing it beside ${installer.baked.version}.`);
  try {
    return await install(version, installer, layout.versions, limit);
  } catch (error) {
    await rm(join(layout.versions, version), { recursive: true, force: true });
    // An agent that is ended in the middle has not learned that it fails.
    if (!signal.aborted)
      await noteFailure(layout.versions, version, {
        at: clock.now(),
        reason: messageOf(error),
        settings: installer.settings,
      });
    throw error;
  }
}
