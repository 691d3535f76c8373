import { isObject, numberAt, objectAt } from '../json.ts';
import { listOf, readXml, textOf } from '../wire.ts';
import type { Role } from './body.ts';
import { type EngineContext, seconds } from './context.ts';
import { continueAfterNetworks, fillRole, proceed, startService } from './deploy.ts';
import type { LiveService } from './live.ts';
import { makeNetworks } from './networks.ts';
import { awaitCooldown, continueScaling } from './scale.ts';
import type { VmCondition } from './states.ts';
import { continueUndeploying, finishUndeploying, shutDownRole } from './undeploy.ts';
import { nodeOf, vmInfo, vmName } from './vms.ts';
import { lookAround } from './watchdog.ts';

/** A VM as the pool lists it. */
interface PoolVm {
  id: number;
  owner: string;
  name: string;
  condition: VmCondition;
}

const NOT_DONE = -1;

/** All VMs that are not DONE, in one call. */
export function readVms(context: EngineContext, session: string): PoolVm[] {
  const pool = readXml(String(context.cloud.call(session, 'one.vmpool.info', -2, -1, -1, NOT_DONE)));
  return listOf(pool.VM)
    .filter(isObject)
    .map(vm => ({
      id: numberAt(vm, 'ID') ?? -1,
      owner: textOf(vm.UID),
      name: textOf(vm.NAME),
      condition: { state: numberAt(vm, 'STATE') ?? 0, lcmState: numberAt(vm, 'LCM_STATE') ?? 0 },
    }))
    .sort((one, other) => one.id - other.id);
}

/** The VMs by the service that their names tell (`ROLE_N_(service_ID)`). */
export function vmsByService(vms: PoolVm[]): Map<number, PoolVm[]> {
  const found = new Map<number, PoolVm[]>();
  for (const vm of vms) {
    const id = Number(/_\(service_(\d+)\)$/.exec(vm.name)?.[1] ?? -1);
    const group = found.get(id);
    if (group) group.push(vm);
    else found.set(id, [vm]);
  }
  return found;
}

/** Puts the VMs of a service that was read from its document under watch, those made just before a crash too. */
export function adoptVms(context: EngineContext, service: LiveService, vms: PoolVm[]): void {
  const conditions = new Map(vms.map(vm => [vm.id, vm.condition]));
  const gone: VmCondition = { state: 6, lcmState: 0 };
  for (const role of service.body.roles) {
    for (const vmId of role.vmIds) context.watch.add(vmId, service, role.name, conditions.get(vmId) ?? gone);
    for (const vm of vms) adoptUnwritten(context, service, role, vm);
  }
}

/** A VM whose number the document does not know yet was made, and the process ended before that was written. */
function adoptUnwritten(context: EngineContext, service: LiveService, role: Role, vm: PoolVm): void {
  const number = Number(/^(\w+)_(\d+)_\(service_\d+\)$/.exec(vm.name)?.[2] ?? -1);
  const known = numberAt(role.json, 'last_vmname') ?? 0;
  if (vm.name !== vmName(role.name, number, service.id) || number < known) return;
  if (!isMadeFor(context, service, role, vm)) return;
  const nodes = Array.isArray(role.json.nodes) ? role.json.nodes : [];
  nodes.push(nodeOf(service, vm.id, vm.name));
  role.json.nodes = nodes;
  role.json.last_vmname = number + 1;
  context.watch.add(vm.id, service, role.name, vm.condition);
  service.changed = true;
}

/** Anybody may give a VM that name: it must be the owner's, and marked as one of this role. Pools do not show the marks. */
function isMadeFor(context: EngineContext, service: LiveService, role: Role, vm: PoolVm): boolean {
  if (vm.owner !== service.owner.UID) return false;
  const { SERVICE_ID, ROLE_NAME } = objectAt(vmInfo(context, service, vm.id) ?? {}, 'USER_TEMPLATE');
  return SERVICE_ID === String(service.id) && ROLE_NAME === role.name;
}

/** Goes on where the document says the service is. */
export function resumeService(context: EngineContext, service: LiveService): void {
  const { body } = service;
  for (const role of body.roles) resumeRole(context, service, role);
  switch (body.state) {
    case 'PENDING':
      makeNetworks(context, service);
      startService(context, service);
      break;
    case 'DEPLOYING_NETS':
      continueAfterNetworks(context, service);
      break;
    case 'DEPLOYING':
      for (const role of body.roles) if (role.state === 'PENDING') fillRole(service, role);
      if (service.waits.size === 0) proceed(context, service);
      break;
    case 'COOLDOWN':
      resumeCooldown(context, service);
      break;
    case 'UNDEPLOYING':
      if (service.waits.size === 0) continueUndeploying(context, service);
      break;
    case 'UNDEPLOYING_NETS':
      finishUndeploying(context, service);
      break;
    case 'RUNNING':
    case 'WARNING':
      lookAround(context, service);
      break;
    default:
  }
}

function resumeRole(context: EngineContext, service: LiveService, role: Role): void {
  switch (role.state) {
    case 'DEPLOYING':
      context.watch.wait(service, role.name, 'deploy', role.vmIds);
      // READY written while nobody listened is seen at once. VMs that went off with the cloud come back with it.
      context.watch.recheck(service, role.name, false);
      break;
    case 'HOLD':
      context.watch.wait(service, role.name, 'hold', role.vmIds);
      break;
    case 'SCALING':
      continueScaling(context, service, role);
      context.watch.recheck(service, role.name, false);
      break;
    case 'UNDEPLOYING':
      shutDownRole(context, service, role);
      break;
    default:
  }
}

function resumeCooldown(context: EngineContext, service: LiveService): void {
  const cooling = service.body.roles.find(role => role.state === 'COOLDOWN');
  const since = service.body.lastEntered('COOLDOWN') ?? 0;
  awaitCooldown(context, service, (since + (cooling?.cooldown ?? 0) - seconds(context.clock)) * 1000);
}
