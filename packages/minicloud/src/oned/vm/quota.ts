import type { Core } from '../core.ts';
import { errno, RequestError } from '../errors.ts';
import type { Caller } from '../model.ts';
import { type Pairs, single, type Template, vectors } from '../template/attributes.ts';
import type { Vm } from './model.ts';
import { state } from './states.ts';

/** What a user's VMs take of each limit that can be set. */
export interface Usage {
  VMS: number;
  CPU: number;
  MEMORY: number;
  RUNNING_VMS: number;
  RUNNING_CPU: number;
  RUNNING_MEMORY: number;
  /** MiB. */
  SYSTEM_DISK_SIZE: number;
}

function diskSize(template: Template): number {
  return vectors(template, 'DISK').reduce((total, disk) => total + Number(disk.SIZE ?? '0'), 0);
}

/** What all VMs of a user take. */
export function usageOfUser(core: Core, uid: number): Usage {
  const usage = { VMS: 0, CPU: 0, MEMORY: 0, RUNNING_VMS: 0, RUNNING_CPU: 0, RUNNING_MEMORY: 0, SYSTEM_DISK_SIZE: 0 };
  for (const id of core.vms.lookup('owner', uid)) {
    const vm = core.vms.get(id);
    if (!vm) continue;
    const cpu = Number(single(vm.template, 'CPU') ?? '0');
    const memory = Number(single(vm.template, 'MEMORY') ?? '0');
    usage.VMS += 1;
    usage.CPU += cpu;
    usage.MEMORY += memory;
    usage.SYSTEM_DISK_SIZE += diskSize(vm.template);
    if (!runs(vm)) continue;
    usage.RUNNING_VMS += 1;
    usage.RUNNING_CPU += cpu;
    usage.RUNNING_MEMORY += memory;
  }
  return usage;
}

function runs(vm: Vm): boolean {
  return vm.state === state.active || vm.state === state.pending || vm.state === state.hold;
}

/** Limits in the order in which they are looked at, with what a new VM adds. */
function additions(template: Template): [keyof Usage, number][] {
  const cpu = Number(single(template, 'CPU') ?? '0');
  const memory = Number(single(template, 'MEMORY') ?? '0');
  return [
    ['VMS', 1],
    ['MEMORY', memory],
    ['CPU', cpu],
    ['RUNNING_VMS', 1],
    ['RUNNING_MEMORY', memory],
    ['RUNNING_CPU', cpu],
  ];
}

/** Refuses a VM that would go over a limit of its user. */
export function checkQuota(core: Core, caller: Caller, template: Template): void {
  const limits: Pairs | undefined = core.accounts.users.get(caller.id)?.vmQuota;
  if (!limits) return;
  const usage = usageOfUser(core, caller.id);
  for (const [name, added] of additions(template)) {
    const limit = Number(limits[name] ?? '-1');
    if (limit < 0 || usage[name] + added <= limit) continue;
    throw new RequestError(
      errno.authorization,
      `User [${caller.id}] : user [${caller.id}] limit of ${limit} reached for ${name} quota in VM.`,
    );
  }
}
