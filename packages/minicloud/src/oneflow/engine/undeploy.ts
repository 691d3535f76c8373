import { Refusal } from '../refusal.ts';
import type { Role } from './body.ts';
import { type EngineContext, seconds } from './context.ts';
import { enterRunning } from './deploy.ts';
import type { LiveService } from './live.ts';
import { madeNetworks } from './networks.ts';
import { rolesToShutDown } from './order.ts';
import { canScale, canUndeploy, isDone } from './states.ts';
import { endVms, removeVms } from './vms.ts';
import { writeFirst } from './write-first.ts';

/**
 * Takes a service down, children first. A second call while it goes finds no role to end and takes that for the
 * end: the document vanishes and the VMs of the parents stay, as on the real server.
 *
 * @throws Refusal 500 in a state that does not allow it, or when it cannot be written
 */
export function undeployService(context: EngineContext, service: LiveService): void {
  const { body } = service;
  if (!canUndeploy(body.state)) throw new Refusal(500, `Service cannot be undeployed in state: ${body.state}`);
  // Written first: after a restart in between, VMs that ended must not look like lost nodes of a running service.
  writeFirst(context, service, () => body.enter('UNDEPLOYING', seconds(context.clock)));
  service.timer?.cancel();
  continueUndeploying(context, service);
}

/** Ends the roles that may be ended now; with none left, networks and document go too. */
export function continueUndeploying(context: EngineContext, service: LiveService): void {
  const roles = rolesToShutDown(service.body);
  if (roles.length === 0) {
    finishUndeploying(context, service);
    return;
  }
  for (const role of roles) shutDownRole(context, service, role);
}

/** Ends what is left of a role's VMs. */
export function shutDownRole(context: EngineContext, service: LiveService, role: Role): void {
  role.state = 'UNDEPLOYING';
  const left = role.vmIds.filter(vmId => !isDone(context.watch.conditionOf(vmId)));
  context.watch.wait(service, role.name, 'undeploy', left);
  endVms(context, service, role, left);
}

/** A role's VMs are gone. */
export function roleIsGone(context: EngineContext, service: LiveService, role: Role): void {
  context.watch.remove(role.vmIds);
  role.state = 'DONE';
  if (role.json.removing === true) {
    service.body.removeRole(role.name);
    enterRunning(context, service);
    return;
  }
  const { roles, straight } = service.body;
  if (straight || roles.every(other => other.state === 'DONE')) continueUndeploying(context, service);
}

/** Removes the networks made for the service, then its document. */
export function finishUndeploying(context: EngineContext, service: LiveService): void {
  service.body.enter('UNDEPLOYING_NETS', seconds(context.clock));
  const failure = removeNetworks(context, service);
  if (failure !== undefined) {
    service.body.log('E', failure, seconds(context.clock));
    service.body.enter('FAILED_UNDEPLOYING_NETS', seconds(context.clock));
    return;
  }
  deleteDocument(context, service);
}

/** Removes a service with everything it has, whatever its state. */
export function wipeOut(context: EngineContext, service: LiveService): void {
  service.stopTimers();
  for (const role of service.body.roles) {
    removeVms(
      context,
      service,
      role.vmIds.filter(vmId => !isDone(context.watch.conditionOf(vmId))),
    );
  }
  removeNetworks(context, service);
  deleteDocument(context, service);
}

/**
 * Takes one role out of a running service.
 *
 * @throws Refusal 500 when the service has no such role, does not run or cannot be written
 */
export function removeRole(context: EngineContext, service: LiveService, name: string): void {
  const role = service.body.role(name);
  if (!role) throw new Refusal(500, `Role ${name} does not exist`);
  const { state } = service.body;
  if (!canScale(state)) throw new Refusal(500, `Cannot modify roles in state: ${state}`);
  writeFirst(context, service, () => {
    // In the document, so that after a restart it is not taken for the end of the whole service.
    role.json.removing = true;
    role.state = 'UNDEPLOYING';
    service.body.enter('UNDEPLOYING', seconds(context.clock));
  });
  shutDownRole(context, service, role);
}

function removeNetworks(context: EngineContext, service: LiveService): string | undefined {
  const session = context.sessionOf(service);
  for (const id of madeNetworks(service)) {
    const answer = context.cloud.attempt(session, 'one.vn.delete', id);
    if (!('refused' in answer)) continue;
    // Gone already, by an earlier try or by somebody else: nothing is in the way.
    if ('value' in context.cloud.attempt(session, 'one.vn.info', id, false)) return answer.refused;
  }
  return undefined;
}

function deleteDocument(context: EngineContext, service: LiveService): void {
  const session = context.sessionOf(service);
  context.forget(service);
  context.cloud.attempt(session, 'one.document.delete', service.id);
}
