import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  bakedFramework,
  type Clock,
  defaultFlowerVersion,
  environmentName,
  messageOf,
  type OneFlowerError,
} from '@oneflower/contract';
import { failure } from '../failure.ts';
import type { Layout } from '../layout.ts';
import type { Log } from '../log/log.ts';
import { failedBefore, noteFailure, retryAfterMs } from './failed.ts';
import { install } from './install.ts';
import { type Installer, readInstaller } from './installer.ts';
import { type FileLock, lockFile } from './lock.ts';
import { type FlowerRelease, installed, releaseIn, type Wanted } from './release.ts';

export interface ReleaseSurroundings {
  layout: Layout;
  log: Log;
  clock: Clock;
}

/**
 * The release to run, with the libraries of the framework: the one wanted where it is there or can be installed, else
 * the baked one of that framework with one warning; never the environment of another framework. A release that could
 * not be installed is left alone for {@link retryAfterMs}, unless pip is set up otherwise by then. VMs that share their
 * releases install each once: one does it, the others wait. The caller cuts it off by `signal`.
 *
 * @throws OneFlowerError `framework_missing`, or `flower_start_failed` when the software lacks even what is always baked.
 */
export async function resolveRelease(
  wanted: Wanted,
  surroundings: ReleaseSurroundings,
  signal: AbortSignal,
): Promise<FlowerRelease> {
  const { layout, log } = surroundings;
  const baked = await releaseIn(layout.software.versions, { ...wanted, version: defaultFlowerVersion });
  const found = await releaseIn(layout.software.versions, wanted);
  if (found) return found;
  if (!baked) throw notBaked(wanted, layout);
  try {
    return (await installed(layout.versions, wanted)) ?? (await installOnce(wanted, baked, surroundings, signal));
  } catch (error) {
    signal.throwIfAborted();
    log.warning(`Flower ${wanted.version} cannot be installed (${messageOf(error)}): ${baked.version} runs instead.`);
    return baked;
  }
}

function notBaked({ version, framework }: Wanted, { software }: Layout): OneFlowerError {
  if (framework === bakedFramework) {
    return failure('flower_start_failed', `Flower ${defaultFlowerVersion} is not in ${software.versions}.`, {
      reason: 'The image, or the folder given with --software, is incomplete.',
      remedy: 'Use a complete image, or correct --software.',
      fault: 'user',
    });
  }
  const [first, other] = new Set([version, defaultFlowerVersion].map(release => environmentName(release, framework)));
  const missing = other === undefined ? `${first} is not` : `neither ${first} nor ${other} is`;
  const message = `ML_FRAMEWORK=${framework} has no Python environment here: ${missing} in ${software.versions}.`;
  return failure('framework_missing', message, { fault: 'user' });
}

/** Longest time that an installation, and waiting for that of another VM, may take before the baked release runs instead. */
const installMs = 240_000;

async function installOnce(
  wanted: Wanted,
  baked: FlowerRelease,
  surroundings: ReleaseSurroundings,
  signal: AbortSignal,
): Promise<FlowerRelease> {
  const { layout, log, clock } = surroundings;
  const { version, framework } = wanted;
  const cut = new AbortController();
  const timer = clock.after(installMs, () => cut.abort(new Error('it took too long')));
  const limit = AbortSignal.any([signal, cut.signal]);
  let lock: FileLock | undefined;
  try {
    await mkdir(layout.versions, { recursive: true, mode: 0o755 });
    lock = await lockFile(join(layout.versions, `.${environmentName(version, framework)}.lock`), limit, () =>
      log.info(`Another VM of this machine is installing Flower ${version}: waiting for it.`),
    );
    const byAnother = await installed(layout.versions, wanted);
    if (byAnother) return byAnother;
    const installer = await readInstaller(layout, baked, lock);
    return await installUnlessFailed(wanted, installer, surroundings, limit, signal);
  } finally {
    timer.cancel();
    await lock?.release();
  }
}

async function installUnlessFailed(
  wanted: Wanted,
  installer: Installer,
  { layout, log, clock }: ReleaseSurroundings,
  limit: AbortSignal,
  signal: AbortSignal,
): Promise<FlowerRelease> {
  const { version, framework } = wanted;
  const environment = environmentName(version, framework);
  const failed = await failedBefore(layout.versions, environment, installer.settings, clock);
  if (failed) {
    const left = Math.ceil((failed.at + retryAfterMs - clock.now()) / 60_000);
    const ago = Math.floor((clock.now() - failed.at) / 60_000);
    throw new Error(`${failed.reason}; this was ${ago} min ago, and a boot in ${left} min or later tries again`);
  }
  log.info(`Flower ${version} is not baked in: installing it beside ${installer.baked.version}.`);
  try {
    return await install(wanted, installer, layout.versions, limit);
  } catch (error) {
    await rm(join(layout.versions, environment), { recursive: true, force: true });
    // An agent that is ended in the middle has not learned that it fails.
    if (!signal.aborted)
      await noteFailure(layout.versions, environment, {
        at: clock.now(),
        reason: messageOf(error),
        settings: installer.settings,
      });
    throw error;
  }
}
