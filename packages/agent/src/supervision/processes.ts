import { readdir, readFile } from 'node:fs/promises';
import { type Clock, sleep } from '@oneflower/contract';

/** Environment variable that every process started by the agent carries, and all that those start in turn. */
export const guestMark = 'ONEFLOWER_GUEST';

/** A process, told from a later one with the same id by its start time (field 22 of /proc/PID/stat). */
export interface ProcessId {
  pid: number;
  startTime: string;
}

/**
 * The processes that were started in a guest, wherever they have gone since: Flower's own children leave the process
 * group and, when their parent dies, the process tree, but keep the environment.
 */
export async function processesOf(guest: string, except: ReadonlySet<number> = new Set()): Promise<ProcessId[]> {
  const names = (await readdir('/proc')).filter(name => /^\d+$/.test(name));
  const pids = names.map(Number).filter(pid => pid !== process.pid && !except.has(pid));
  const found = await Promise.all(pids.map(pid => markedProcess(pid, guest)));
  return found.filter(process => process !== undefined);
}

/** Those of {@link processesOf} that are left of parents that died: no descendants of this process any more. */
export async function orphansOf(guest: string): Promise<ProcessId[]> {
  const all = await processesOf(guest);
  const kept = await Promise.all(all.map(async found => ((await descendsFromHere(found.pid)) ? undefined : found)));
  return kept.filter(found => found !== undefined);
}

/**
 * Ends processes: SIGTERM, then SIGKILL for what is left after the grace period, until none is left. Those that start
 * in the meantime are caught too.
 */
export async function endProcesses(guest: string, clock: Clock, graceMs: number): Promise<number> {
  const first = await processesOf(guest);
  if (first.length === 0) return 0;
  for (const target of first) await signalProcess(target, 'SIGTERM');
  const until = clock.now() + graceMs;
  while (clock.now() < until && (await processesOf(guest)).length > 0) await sleep(clock, 100);
  for (let round = 0; round < 50; round++) {
    const left = await processesOf(guest);
    if (left.length === 0) break;
    for (const target of left) await signalProcess(target, 'SIGKILL');
    await sleep(clock, 50);
  }
  return first.length;
}

/** Sends a signal unless the process is gone; its id may belong to another one by now. */
export async function signalProcess({ pid, startTime }: ProcessId, signal: NodeJS.Signals): Promise<void> {
  if ((await startTimeOf(pid)) !== startTime) return;
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended in the meantime, which is what was wanted.
  }
}

/** When a process was started, in clock ticks since the machine's boot; undefined when there is none or it is dead. */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  const fields = await statOf(pid);
  return fields === undefined || fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

/** Fields of /proc/PID/stat from the third on: state, parent, ... */
async function statOf(pid: number): Promise<string[] | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
}

async function descendsFromHere(pid: number): Promise<boolean> {
  for (let at = pid; at > 1; ) {
    const parent = Number((await statOf(at))?.[1] ?? 0);
    if (parent === process.pid) return true;
    at = parent;
  }
  return false;
}

async function markedProcess(pid: number, guest: string): Promise<ProcessId | undefined> {
  const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
  if (!environment.split('\0').includes(`${guestMark}=${guest}`)) return undefined;
  const startTime = await startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}
