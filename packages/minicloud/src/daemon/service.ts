import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, renameSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Clock, isOneFlowerError, sleep, systemClock } from '@oneflower/contract';
import { type CloudFiles, cloudFiles, prepareDirectory } from '../cloud/files.ts';
import { blockOf, type CloudEndpoints, isTaken, probePort, readBlock, stockPorts } from '../cloud/front-end.ts';
import { type AgentCommand, createProcessDriver } from '../drivers/process/index.ts';
import { findRecorded } from '../drivers/process/members.ts';
import { linuxProcesses, type ProcessTable } from '../drivers/process/proc.ts';
import { type DaemonConfig, readConfig, writeConfig } from './config.ts';
import { alreadyRunning, inUse } from './failures.ts';
import { claimIdentity, type DaemonIdentity, identityOf, readIdentity, removeIdentity } from './identity.ts';
import {
  ANSWER_DEADLINE,
  type Answer,
  answers,
  LOOK_EVERY,
  START_DEADLINE,
  serversOf,
  untilAnswering,
  untilReady,
  untilStopped,
} from './waits.ts';

/** What happens while the service is started, stopped or reset. */
export type DaemonProgress =
  | { kind: 'starting'; pid: number }
  | Answer
  | { kind: 'ready'; endpoints: CloudEndpoints }
  | { kind: 'ending'; pid: number; vms: boolean }
  | { kind: 'killed'; pid: number }
  | { kind: 'ended' }
  | { kind: 'removed'; directory: string };

export type DaemonStatus =
  | { state: 'running'; pid: number; since: number; endpoints: CloudEndpoints; answers: boolean }
  | { state: 'starting'; pid: number; since: number }
  /** `stale`: the last service ended without saying so. `kept`: there is a state to go on from. */
  | { state: 'stopped'; stale: boolean; kept: boolean };

/** What is handed in; all of it has a default. */
export interface DaemonSurroundings {
  clock?: Clock;
  processes?: ProcessTable;
  onProgress?: (progress: DaemonProgress) => void;
}

export interface StartOptions extends DaemonSurroundings, DaemonConfig {
  directory: string;
  /** The service's program; a bundled command line has it elsewhere. */
  entry?: string;
}

export interface StopOptions extends DaemonSurroundings {
  directory: string;
  /** Switch the VMs off first (the default), or leave them running without a cloud. */
  vms?: boolean;
}

export interface RunningDaemon {
  pid: number;
  endpoints: CloudEndpoints;
}

const STOP_DEADLINE = 75_000;
const LONGEST_LOG = 10 * 1024 * 1024;

/**
 * Starts the embedded cloud in the background and waits until its three servers answer. A cloud that was killed goes on
 * where it was: same endpoints, same state, its VMs taken over.
 *
 * @throws OneFlowerError `cloud-running`, `cloud-starting`, `cloud-start-stopped`, `cloud-address-taken`,
 *   `no-free-block`, `directory-not-writable`, `directory-of-another-user`, `cloud-not-started`
 */
export async function startDaemon(options: StartOptions): Promise<RunningDaemon> {
  const { clock = systemClock, processes = linuxProcesses, onProgress } = options;
  const files = cloudFiles(options.directory);
  prepareDirectory(files.directory);
  const known = readIdentity(files, processes);
  if (known?.alive) throw alreadyRunning(files, known.identity);
  writeConfig(files, options);
  removeIdentity(files);
  const child = launch(files, options.entry ?? fileURLToPath(new URL('./main.ts', import.meta.url)));
  const stopped = untilStopped(child, files);
  const over = new AbortController();
  let endpoints: CloudEndpoints;
  try {
    // From here on a stop finds it.
    if (child.pid !== undefined) claimIdentity(files, identityOf(processes, child.pid, clock.now()));
    onProgress?.({ kind: 'starting', pid: child.pid ?? 0 });
    endpoints = await Promise.race([stopped, untilReady(child, files, clock, over.signal)]);
    await Promise.race([stopped, untilAnswering(endpoints, clock, over.signal, onProgress)]);
  } catch (error) {
    // One that was stopped ends by itself, in order.
    if (!isOneFlowerError(error) || error.code !== 'cloud-start-stopped') {
      child.kill('SIGKILL');
      if (readIdentity(files, processes)?.identity.pid === child.pid) removeIdentity(files);
    }
    throw error;
  } finally {
    over.abort(new Error('over'));
    if (child.connected) child.disconnect();
    child.unref();
  }
  onProgress?.({ kind: 'ready', endpoints });
  return { pid: child.pid ?? 0, endpoints };
}

/** Whether the cloud of a directory runs, and where it is reached. */
export async function daemonStatus(options: DaemonSurroundings & { directory: string }): Promise<DaemonStatus> {
  const files = cloudFiles(options.directory);
  const known = readIdentity(files, options.processes ?? linuxProcesses);
  if (!known?.alive) {
    const kept = statSync(files.state, { throwIfNoEntry: false }) !== undefined;
    return { state: 'stopped', stale: known !== undefined, kept };
  }
  const { pid, since, endpoints } = known.identity;
  if (!endpoints) return { state: 'starting', pid, since };
  const answering = await Promise.all(serversOf(endpoints).map(({ url }) => answers(url)));
  return { state: 'running', pid, since, endpoints, answers: answering.every(Boolean) };
}

/** What guests of a directory's cloud are started with; undefined with the dummy driver, or before the first start. */
export function agentCommandOf(options: { directory: string }): AgentCommand | undefined {
  const config = readConfig(cloudFiles(options.directory));
  if (config?.driver !== 'process') return undefined;
  const { env, ...command } = config.agentCommand;
  return env ? { ...command, env } : command;
}

/**
 * Ends the background service; one that does not run is no error, and one that starts ends when it has. A service that
 * hangs is killed, its state survives that.
 */
export async function stopDaemon(options: StopOptions): Promise<void> {
  const { clock = systemClock, processes = linuxProcesses, onProgress, vms = true } = options;
  const files = cloudFiles(options.directory);
  const known = readIdentity(files, processes);
  if (known?.alive) {
    const { pid, endpoints } = known.identity;
    onProgress?.({ kind: 'ending', pid, vms });
    processes.kill(pid, vms ? 'SIGUSR2' : 'SIGTERM');
    const deadline = STOP_DEADLINE + (endpoints ? 0 : START_DEADLINE);
    if (!(await untilGone(known.identity, processes, clock, deadline))) {
      processes.kill(pid, 'SIGKILL');
      await untilGone(known.identity, processes, clock, ANSWER_DEADLINE);
      onProgress?.({ kind: 'killed', pid });
    }
  }
  // A start may have followed at once: that one is not meant.
  if (!readIdentity(files, processes)?.alive) removeIdentity(files);
  onProgress?.({ kind: 'ended' });
}

/**
 * Stops the cloud and removes its state and its VMs. Files that the cloud did not make stay.
 *
 * @throws OneFlowerError `cloud-in-use` when another program than the background service has the cloud open
 */
export async function resetCloud(options: StopOptions): Promise<void> {
  const { clock = systemClock, processes = linuxProcesses, onProgress } = options;
  const files = cloudFiles(options.directory);
  if (statSync(files.directory, { throwIfNoEntry: false }) === undefined) return;
  prepareDirectory(files.directory);
  await stopDaemon({ ...options, vms: false });
  await refuseWhileOpen(files);
  const driver = createProcessDriver({
    directory: files.directory,
    clock,
    processes,
    agentCommand: { file: process.execPath, args: [] },
  });
  for (const id of vmFolders(files)) await driver.destroy(id);
  const { state, block, auth, vms, resume, service, pid, log } = files;
  for (const path of [state, `${state}-wal`, `${state}-shm`, block, auth, vms, resume, service, pid, log, `${log}.1`]) {
    rmSync(path, { recursive: true, force: true });
  }
  if (readdirSync(files.directory).length === 0) rmdirSync(files.directory);
  onProgress?.({ kind: 'removed', directory: files.directory });
}

/** A damaged note is no reason to refuse a reset: it is what a reset is for. */
function keptBlock(files: CloudFiles): number | undefined {
  try {
    return readBlock(files);
  } catch {
    return undefined;
  }
}

/** A program that opened the cloud for itself still listens at its front end. */
async function refuseWhileOpen(files: CloudFiles): Promise<void> {
  const block = keptBlock(files);
  if (block === undefined) return;
  const { host } = blockOf(block);
  const port = readConfig(files)?.ports?.onegate ?? stockPorts.onegate;
  try {
    await probePort(host, port);
  } catch (error) {
    if (!isTaken(error)) throw error;
    throw inUse(files, host, error);
  }
}

function launch(files: CloudFiles, entry: string): ChildProcess {
  const size = statSync(files.log, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LONGEST_LOG) renameSync(files.log, `${files.log}.1`);
  const log = openSync(files.log, 'a', 0o600);
  try {
    return spawn(process.execPath, [entry, files.directory], {
      cwd: files.directory,
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
  } finally {
    closeSync(log);
  }
}

async function untilGone(
  identity: DaemonIdentity,
  processes: ProcessTable,
  clock: Clock,
  patience: number,
): Promise<boolean> {
  const deadline = clock.now() + patience;
  while (findRecorded(processes, identity)) {
    if (clock.now() >= deadline) return false;
    await sleep(clock, LOOK_EVERY);
  }
  return true;
}

function vmFolders(files: CloudFiles): number[] {
  if (statSync(files.vms, { throwIfNoEntry: false }) === undefined) return [];
  return readdirSync(files.vms)
    .filter(name => /^\d+$/.test(name))
    .map(Number);
}
