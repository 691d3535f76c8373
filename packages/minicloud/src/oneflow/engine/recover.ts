import type { RoleState } from '@oneflower/opennebula';
import { Refusal } from '../refusal.ts';
import type { Role } from './body.ts';
import { type EngineContext, seconds } from './context.ts';
import { continueAfterNetworks, deployRoles, proceed, startService } from './deploy.ts';
import type { LiveService } from './live.ts';
import { continueScaling, endCooldown } from './scale.ts';
import { canRecover, isDone } from './states.ts';
import { continueUndeploying, finishUndeploying } from './undeploy.ts';
import { removeVms, retryVms } from './vms.ts';

/**
 * Tries again what a service got stuck in. The FAILED state is shown until the nodes are there.
 *
 * @throws Refusal 500 in a state that needs no recovery
 */
export function recoverService(context: EngineContext, service: LiveService): void {
  const { state } = service.body;
  if (!canRecover(state)) throw new Refusal(500, `Service cannot be recovered in state: ${state}`);
  switch (state) {
    case 'COOLDOWN':
      endCooldown(context, service);
      break;
    case 'PENDING':
      startService(context, service);
      break;
    case 'DEPLOYING_NETS':
    case 'FAILED_DEPLOYING_NETS':
      continueAfterNetworks(context, service);
      break;
    case 'DEPLOYING':
    case 'FAILED_DEPLOYING':
      recoverDeployment(context, service);
      break;
    case 'SCALING':
    case 'FAILED_SCALING':
      for (const role of rolesIn(service, 'SCALING', 'FAILED_SCALING')) recoverScaling(context, service, role);
      break;
    case 'UNDEPLOYING':
    case 'FAILED_UNDEPLOYING':
      recoverUndeployment(context, service);
      break;
    default:
      finishUndeploying(context, service);
  }
  context.save(service);
}

function recoverDeployment(context: EngineContext, service: LiveService): void {
  const stuck = rolesIn(service, 'DEPLOYING', 'FAILED_DEPLOYING');
  if (stuck.length === 0) {
    proceed(context, service);
    return;
  }
  for (const role of stuck) retryVms(context, service, role);
  deployRoles(context, service, stuck);
}

function recoverScaling(context: EngineContext, service: LiveService, role: Role): void {
  retryVms(context, service, role);
  continueScaling(context, service, role);
}

/** Ends by force what did not end when asked. */
function recoverUndeployment(context: EngineContext, service: LiveService): void {
  const stuck = rolesIn(service, 'UNDEPLOYING', 'FAILED_UNDEPLOYING');
  service.body.enter('UNDEPLOYING', seconds(context.clock));
  for (const role of stuck) {
    role.state = 'UNDEPLOYING';
    const left = role.vmIds.filter(vmId => !isDone(context.watch.conditionOf(vmId)));
    context.watch.wait(service, role.name, 'undeploy', left);
    removeVms(context, service, left);
  }
  if (stuck.length === 0) continueUndeploying(context, service);
}

function rolesIn(service: LiveService, ...states: RoleState[]): Role[] {
  return service.body.roles.filter(role => states.includes(role.state));
}
