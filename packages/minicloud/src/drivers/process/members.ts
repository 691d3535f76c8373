import type { ProcessInfo, ProcessTable } from './proc.ts';

/** Names one process for good: the pid alone is used again, and start times begin anew at each boot. */
export interface AgentRecord {
  pid: number;
  /** Clock ticks since boot, field 22 of `/proc/PID/stat`. */
  startTime: number;
  bootId: string;
}

/** The recorded process, if it is that very one and alive. */
export function findRecorded(table: ProcessTable, record: AgentRecord): ProcessInfo | undefined {
  if (record.bootId !== table.bootId()) return undefined;
  const found = table.read(record.pid);
  return found?.startTime === record.startTime ? found : undefined;
}

/**
 * All that belongs to a VM and lives: the agent's process group and session, whatever carries the VM's HOME (children
 * that made a session of their own), and the children of all these. A recycled pid is never among them.
 */
export function membersOf(table: ProcessTable, record: AgentRecord | undefined, home: string): ProcessInfo[] {
  const all = table.list().filter(({ pid }) => pid !== process.pid && pid > 1);
  const found = new Map<number, ProcessInfo>();
  for (const info of all) {
    if (isOfGroup(table, info, record) || isWithin(table.homeOf(info.pid), home)) found.set(info.pid, info);
  }
  for (let grown = true; grown; ) {
    const children = all.filter(({ pid, parent }) => found.has(parent) && !found.has(pid));
    for (const child of children) found.set(child.pid, child);
    grown = children.length > 0;
  }
  return [...found.values()];
}

function isOfGroup(table: ProcessTable, info: ProcessInfo, record: AgentRecord | undefined): boolean {
  if (!record || (info.group !== record.pid && info.session !== record.pid)) return false;
  if (record.bootId !== table.bootId()) return false;
  const leader = table.read(record.pid);
  // A leader with another start time has the number by chance, and so has its group.
  return leader === undefined ? info.startTime >= record.startTime : leader.startTime === record.startTime;
}

function isWithin(path: string | undefined, folder: string): boolean {
  return path !== undefined && (path === folder || path.startsWith(`${folder}/`));
}
