import { authorize } from '../access.ts';
import { type Core, dateText } from '../core.ts';
import { errno, notFound, RequestError } from '../errors.ts';
import { usageOf } from '../hosts.ts';
import { type Datastore, type Host, hostState } from '../infrastructure.ts';
import type { Arguments } from '../methods.ts';
import type { Caller } from '../model.ts';
import { merge, single } from '../template/attributes.ts';
import { freshRecord, type HistoryRecord, type Vm } from './model.ts';
import { cpuPercent, memoryKb } from './resources.ts';
import { state, stateName } from './states.ts';
import { placedOn } from './transitions.ts';

interface Room {
  host: Host;
  cpu: number;
  memory: number;
}

function rooms(core: Core): Room[] {
  return core.hosts
    .list()
    .filter(host => host.state === hostState.monitored)
    .map(host => {
      const used = usageOf(core, host.id);
      return { host, cpu: core.capacity.cpu - used.cpu, memory: core.capacity.memory - used.memory };
    });
}

function systemDatastore(core: Core): Datastore | undefined {
  return core.datastores.list().find(datastore => datastore.type === 1 && datastore.enabled);
}

function record(core: Core, vm: Vm, host: Host, datastore: Datastore): HistoryRecord {
  const now = core.seconds();
  return {
    ...freshRecord,
    seq: (vm.history.at(-1)?.seq ?? -1) + 1,
    hostId: host.id,
    hostName: host.name,
    vmMad: host.vmMad,
    tmMad: single(datastore.template, 'TM_MAD') ?? '',
    datastoreId: datastore.id,
    planId: -1,
    actionId: 0,
    start: now,
    prologStart: now,
  };
}

function refusal(vm: Vm, all: readonly Room[]): string {
  const ids = (short: readonly Room[]): string => short.map(room => room.host.id).join(', ');
  const cpu = all.filter(room => room.cpu < cpuPercent(vm));
  if (cpu.length > 0) return `[HOST] Not enough CPU on hosts: ${ids(cpu)}`;
  return `[HOST] Not enough memory on hosts: ${ids(all.filter(room => room.memory < memoryKb(vm)))}`;
}

function keepWaiting(core: Core, vm: Vm, why: string): void {
  const old = single(vm.userTemplate, 'SCHED_MESSAGE');
  // The date alone is no reason to write a thousand waiting VMs again and again.
  if (old?.endsWith(`: ${why}`)) return;
  const message = { name: 'SCHED_MESSAGE', value: `${dateText(core.seconds())}: ${why}` };
  core.vms.put({ ...vm, userTemplate: merge(vm.userTemplate, [message]) });
}

/** Gives every waiting VM a host that has room for it, in the order of their ids, or says why it waits. */
export function schedule(core: Core): void {
  const waiting = [...core.vms.lookup('state', state.pending)].sort((a, b) => a - b);
  if (waiting.length === 0) return;
  const all = rooms(core);
  const datastore = systemDatastore(core);
  for (const id of waiting) {
    const vm = core.vms.get(id);
    if (!vm) continue;
    if (all.length === 0) {
      keepWaiting(core, vm, 'Cannot dispatch VM: No hosts enabled to run VMs');
      continue;
    }
    const fitting = all.filter(room => room.cpu >= cpuPercent(vm) && room.memory >= memoryKb(vm));
    const room = fitting.sort((a, b) => b.cpu - a.cpu)[0];
    if (!room) keepWaiting(core, vm, refusal(vm, all));
    else if (!datastore) keepWaiting(core, vm, 'Cannot dispatch VM: No system datastores found');
    else {
      room.cpu -= cpuPercent(vm);
      room.memory -= memoryKb(vm);
      core.vms.put(placedOn(vm, record(core, vm, room.host, datastore)));
    }
  }
}

const deployable: readonly number[] = [state.pending, state.hold, state.stopped, state.undeployed];

/** one.vm.deploy: an operator's choice of host and datastore. */
export function deployByHand(core: Core, caller: Caller, args: Arguments): number {
  const vm = core.vms.get(args.int(0));
  if (!vm) throw notFound('virtual machine', args.int(0));
  const host = core.hosts.get(args.int(1));
  if (!host) throw notFound('host', args.int(1));
  authorize(caller, { operation: 'ADMIN', kind: 'VM', object: vm }, { operation: 'MANAGE', kind: 'HOST', id: host.id });
  const wanted = args.int(3, -1);
  const datastore = wanted < 0 ? systemDatastore(core) : core.datastores.get(wanted);
  if (!datastore) throw notFound('datastore', wanted);
  if (!deployable.includes(vm.state)) {
    throw new RequestError(errno.action, `Deploy action is not available for state ${stateName(vm)}`);
  }
  core.vms.put(placedOn(vm, { ...record(core, vm, host, datastore), planId: -2, actionId: -1 }));
  return vm.id;
}
