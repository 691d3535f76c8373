import { readdirSync, readFileSync } from 'node:fs';

/** One process as the kernel lists it. */
export interface ProcessInfo {
  pid: number;
  parent: number;
  group: number;
  session: number;
  /** Clock ticks since boot. With the pid and the boot it names a process for good; the pid alone is used again. */
  startTime: number;
}

/** The machine's processes. Those that have ended and only wait to be collected (zombies) are not in it. */
export interface ProcessTable {
  list(): ProcessInfo[];
  read(pid: number): ProcessInfo | undefined;
  /** HOME in the environment that the process was started with; undefined when that may not be read. */
  homeOf(pid: number): string | undefined;
  /** Identifies the time since the machine was started. */
  bootId(): string;
  /** Sends a signal; a process that is no longer there is no error. */
  kill(pid: number, signal: NodeJS.Signals): void;
}

/** Linux: /proc. */
export const linuxProcesses: ProcessTable = {
  list: () =>
    readdirSync('/proc')
      .filter(name => /^\d+$/.test(name))
      .flatMap(name => linuxProcesses.read(Number(name)) ?? []),
  read(pid) {
    const stat = readOrNothing(`/proc/${pid}/stat`);
    return stat === undefined ? undefined : parseStat(pid, stat);
  },
  homeOf(pid) {
    const environment = readOrNothing(`/proc/${pid}/environ`);
    return environment
      ?.split('\0')
      .find(entry => entry.startsWith('HOME='))
      ?.slice('HOME='.length);
  },
  bootId: () => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
  kill(pid, signal) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (codeOf(error) !== 'ESRCH') throw error;
    }
  },
};

/** Reads `/proc/PID/stat`: the name in parentheses may hold blanks and parentheses, so fields count from the last one. */
function parseStat(pid: number, stat: string): ProcessInfo | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state = '', parent, group, session] = fields;
  if (state === 'Z' || state === 'X') return undefined;
  return {
    pid,
    parent: Number(parent),
    group: Number(group),
    session: Number(session),
    startTime: Number(fields[19]),
  };
}

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Gone between two looks, or another user's.
    return undefined;
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
