import type { Owned } from '../model.ts';
import type { Store, Table } from '../store.ts';
import { type Template, vectors } from '../template/attributes.ts';
import { state } from './states.ts';

/** One stay of a VM on a host. Times are seconds, 0 where nothing happened yet. */
export interface HistoryRecord {
  readonly seq: number;
  readonly hostId: number;
  readonly hostName: string;
  readonly vmMad: string;
  readonly tmMad: string;
  readonly datastoreId: number;
  /** -1 and 0 when the scheduler chose the host, -2 and -1 when an operator did. */
  readonly planId: number;
  readonly actionId: number;
  readonly start: number;
  readonly end: number;
  readonly prologStart: number;
  readonly prologEnd: number;
  readonly runStart: number;
  readonly runEnd: number;
  readonly epilogStart: number;
  readonly epilogEnd: number;
  readonly action: number;
  readonly uid: number;
  readonly gid: number;
  readonly requestId: number;
}

/** A VM. `template` is what oned made of the request, `userTemplate` what it does not know. */
export interface Vm extends Owned {
  readonly state: number;
  readonly lcm: number;
  readonly resched: number;
  readonly stime: number;
  readonly etime: number;
  readonly deployId: string;
  readonly userTemplate: Template;
  readonly history: readonly HistoryRecord[];
  /** Whether the shutdown under way skips the asking; kept so that a restart takes it up alike. */
  readonly hard?: boolean;
}

/** States in which a VM holds its place on a host. */
const placed: readonly number[] = [state.active, state.suspended, state.poweroff];

/** The host that a VM takes room on. */
export function hostOf(vm: Vm): number | undefined {
  return placed.includes(vm.state) ? vm.history.at(-1)?.hostId : undefined;
}

function imagesOf(vm: Vm): number[] {
  return vectors(vm.template, 'DISK').flatMap(disk => (disk.IMAGE_ID === undefined ? [] : Number(disk.IMAGE_ID)));
}

/** The table of VMs. DONE ones live on disk only. */
export function vmTable(store: Store): Table<Vm> {
  return store.table<Vm>('vm', {
    archived: vm => vm.state === state.done,
    indexes: {
      state: vm => [vm.state],
      lcm: vm => (vm.state === state.active ? [vm.lcm] : []),
      host: vm => {
        const host = hostOf(vm);
        return host === undefined ? [] : [host];
      },
      image: imagesOf,
      owner: vm => [vm.uid],
    },
  });
}

/** The VM with its last history record changed. */
export function withLastRecord(vm: Vm, change: Partial<HistoryRecord>): Vm {
  const last = vm.history.at(-1);
  return last ? { ...vm, history: [...vm.history.slice(0, -1), { ...last, ...change }] } : vm;
}

/** The VM with a new record on the same host, its last one ended now. */
export function withNextRecord(vm: Vm, now: number): Vm {
  const ended = withLastRecord(vm, { end: now });
  const last = ended.history.at(-1);
  if (!last) return vm;
  const next: HistoryRecord = {
    ...last,
    ...freshRecord,
    seq: last.seq + 1,
    start: now,
    runStart: now,
  };
  return { ...ended, history: [...ended.history, next] };
}

/** The times and the action of a record that has just begun. */
export const freshRecord = {
  end: 0,
  prologStart: 0,
  prologEnd: 0,
  runStart: 0,
  runEnd: 0,
  epilogStart: 0,
  epilogEnd: 0,
  action: 0,
  uid: -1,
  gid: -1,
  requestId: -1,
};
