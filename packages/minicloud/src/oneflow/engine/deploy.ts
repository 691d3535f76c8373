import { arrayAt, objectAt } from '../json.ts';
import { fillInputs } from '../schema/inputs.ts';
import { fillNetworks } from '../schema/networks.ts';
import type { Role } from './body.ts';
import { type EngineContext, seconds } from './context.ts';
import type { LiveService } from './live.ts';
import { stateOfNetworks } from './networks.ts';
import { rolesToDeploy, rolesToRelease } from './order.ts';
import { makeVms } from './vms.ts';
import { lookAround } from './watchdog.ts';

/** Between two steps of a deployment others see the state in between, as on the real server. */
const STEP_MS = 20;
const NETWORK_WAIT_MS = 250;

/** Sets a new service going; its networks are there. */
export function startService(context: EngineContext, service: LiveService): void {
  context.later(service, STEP_MS, () => {
    for (const role of service.body.roles) role.prepare();
    service.body.enter('DEPLOYING_NETS', seconds(context.clock));
    continueAfterNetworks(context, service);
  });
}

/** From DEPLOYING_NETS on. With no role that could start, the service stays there for good. */
export function continueAfterNetworks(context: EngineContext, service: LiveService, waitMs = STEP_MS): void {
  context.later(service, waitMs, () => {
    const networks = stateOfNetworks(context, service);
    if (networks === 'waiting') {
      continueAfterNetworks(context, service, NETWORK_WAIT_MS);
      return;
    }
    if (networks === 'failed') {
      service.body.enter('FAILED_DEPLOYING_NETS', seconds(context.clock));
      return;
    }
    const first = rolesToDeploy(service.body, false);
    if (first.length === 0) return;
    for (const role of service.body.roles) fillRole(service, role);
    deployRoles(context, service, first);
  });
}

/** Writes inputs and networks into a role's template. */
export function fillRole(service: LiveService, role: Role): void {
  fillInputs(role.json, objectAt(service.body.json, 'user_inputs_values'));
  fillNetworks(role.json, arrayAt(service.body.json, 'networks_values'));
}

/** Makes the VMs of roles and waits for them; the first that cannot be made fails the service. */
export function deployRoles(context: EngineContext, service: LiveService, roles: Role[]): void {
  const { body } = service;
  for (const role of roles) {
    if (body.json.on_hold === true) role.json.on_hold = true;
    const failure = makeVms(context, service, role);
    if (failure !== undefined) {
      body.log('E', failure, seconds(context.clock));
      role.state = 'FAILED_DEPLOYING';
      body.enter('FAILED_DEPLOYING', seconds(context.clock));
      return;
    }
    const held = role.json.on_hold === true;
    if (role.state !== 'FAILED_DEPLOYING') role.state = held ? 'HOLD' : 'DEPLOYING';
    context.watch.wait(service, role.name, held ? 'hold' : 'deploy', role.vmIds);
  }
  const held = body.roles.some(role => role.state === 'HOLD');
  if (body.state !== 'FAILED_DEPLOYING') body.enter(held ? 'HOLD' : 'DEPLOYING', seconds(context.clock));
}

/** A role's VMs are up. */
export function roleIsUp(context: EngineContext, service: LiveService, role: Role): void {
  role.state = 'RUNNING';
  proceed(context, service);
}

/** A role's VMs are all held: its children may be made, held too. */
export function roleIsHeld(context: EngineContext, service: LiveService): void {
  context.later(service, STEP_MS, () => {
    if (service.body.state !== 'HOLD') return;
    const next = rolesToDeploy(service.body, true);
    if (next.length > 0) deployRoles(context, service, next);
  });
}

/** The next roles, or RUNNING when there is none left. */
export function proceed(context: EngineContext, service: LiveService): void {
  const { body } = service;
  if (body.roles.every(role => role.state === 'RUNNING')) {
    enterRunning(context, service);
    return;
  }
  // In HOLD nobody has asked for the release yet: only after it do held children follow their parents.
  if (body.state !== 'HOLD') releaseRoles(context, service, rolesToRelease(body));
  const next = rolesToDeploy(body, false);
  if (next.length > 0) deployRoles(context, service, next);
}

export function enterRunning(context: EngineContext, service: LiveService): void {
  service.body.enter('RUNNING', seconds(context.clock));
  lookAround(context, service);
}

/** Lets the held VMs of roles go. */
export function releaseRoles(context: EngineContext, service: LiveService, roles: Role[]): void {
  const session = context.sessionOf(service);
  for (const role of roles) {
    for (const vmId of role.vmIds) context.cloud.attempt(session, 'one.vm.action', 'release', vmId);
    role.state = 'DEPLOYING';
    context.watch.wait(service, role.name, 'deploy', role.vmIds);
  }
  if (roles.length > 0) service.body.enter('DEPLOYING', seconds(context.clock));
}
