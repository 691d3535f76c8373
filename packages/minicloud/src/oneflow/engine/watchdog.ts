import type { Role } from './body.ts';
import { type EngineContext, seconds } from './context.ts';
import type { LiveService } from './live.ts';
import { isDone, isRunning, isTrouble } from './states.ts';

/** Works on what happened to VMs of a service that is up: lost nodes, trouble, nodes that are back. */
export function workOffIncidents(context: EngineContext, service: LiveService): void {
  const { state } = service.body;
  if (state !== 'RUNNING' && state !== 'WARNING') {
    service.incidents.clear();
    return;
  }
  const byRole = new Map<string, number[]>();
  for (const vmId of service.incidents) {
    const role = context.watch.roleOf(vmId);
    if (role === undefined) continue;
    const group = byRole.get(role);
    if (group) group.push(vmId);
    else byRole.set(role, [vmId]);
  }
  service.incidents.clear();
  for (const [name, vmIds] of byRole) {
    const role = service.body.role(name);
    if (role) judgeVms(context, service, role, vmIds);
  }
  showWarning(context, service);
}

/** Looks at every VM of a service that has just come to run: what happened while nobody watched. */
export function lookAround(context: EngineContext, service: LiveService): void {
  for (const role of service.body.roles) judgeVms(context, service, role, role.vmIds);
  showWarning(context, service);
}

function judgeVms(context: EngineContext, service: LiveService, role: Role, vmIds: number[]): void {
  const gone = new Set<number>();
  let trouble = false;
  let running = false;
  for (const vmId of vmIds) {
    const condition = context.watch.conditionOf(vmId);
    if (isDone(condition)) gone.add(vmId);
    else if (isTrouble(condition)) trouble = true;
    else if (isRunning(condition)) running = true;
  }
  if (gone.size > 0) loseNodes(context, service, role, gone);
  const before = role.state;
  if (trouble) role.state = 'WARNING';
  else if (running && before === 'WARNING') role.state = 'RUNNING';
  if (gone.size > 0 || role.state !== before) service.changed = true;
}

/** A node that ended elsewhere lowers the cardinality, also below min_vms (the autoscaler refills later). */
function loseNodes(context: EngineContext, service: LiveService, role: Role, gone: Set<number>): void {
  const before = role.cardinality;
  role.dropNodes(gone);
  role.cardinality = Math.max(0, before - gone.size);
  context.watch.remove(gone);
  const now = seconds(context.clock);
  service.body.log('I', `Role ${role.name} scaling down from ${before} to ${role.cardinality} nodes`, now);
}

function showWarning(context: EngineContext, service: LiveService): void {
  const { body } = service;
  const states = body.roles.map(role => role.state);
  if (states.includes('WARNING')) body.enter('WARNING', seconds(context.clock));
  else if (body.state === 'WARNING' && states.every(state => state === 'RUNNING')) {
    body.enter('RUNNING', seconds(context.clock));
  }
}
