import { Refusal } from '../refusal.ts';
import type { Role } from './body.ts';
import { type EngineContext, seconds } from './context.ts';
import { enterRunning } from './deploy.ts';
import type { LiveService } from './live.ts';
import { canScale } from './states.ts';
import { endVms, makeVms } from './vms.ts';
import { writeFirst } from './write-first.ts';

const UP = 0;
const DOWN = 1;

/**
 * Changes the cardinality of a role.
 *
 * @throws Refusal 500 with the server's sentence: wrong state, outside the limits (unless `force`), no change
 */
export function scaleRole(
  context: EngineContext,
  service: LiveService,
  role: Role,
  cardinality: number,
  force: boolean,
): void {
  const { body, id } = service;
  if (!canScale(body.state)) throw new Refusal(500, `Service cannot be scaled in state: ${body.state}`);
  const minimum = Math.max(0, role.minimum ?? 0);
  if ((!force && cardinality < minimum) || cardinality < 0) {
    throw new Refusal(500, `Can't scale service ${id}: Minimum cardinality is ${force ? 0 : minimum}`);
  }
  if (!force && role.maximum !== undefined && cardinality > role.maximum) {
    throw new Refusal(500, `Can't scale service ${id}: Maximum cardinality is ${role.maximum}`);
  }
  const before = role.cardinality;
  if (cardinality === before) throw new Refusal(500, `Cardinality of ${role.name} is already at ${cardinality}`);
  const grows = cardinality > before;
  const way = grows ? 'up' : 'down';
  writeFirst(context, service, () => {
    role.cardinality = cardinality;
    role.forgetTrueRounds();
    body.log('I', `Role ${role.name} scaling ${way} from ${before} to ${cardinality} nodes`, seconds(context.clock));
    body.enter('SCALING', seconds(context.clock));
    role.state = 'SCALING';
    role.json.scale_way = grows ? UP : DOWN;
  });
  continueScaling(context, service, role);
  context.save(service);
}

/** Makes or ends the VMs that a scaling role has too few or too many, oldest first, and waits for them. */
export function continueScaling(context: EngineContext, service: LiveService, role: Role): void {
  if (role.json.scale_way === DOWN) {
    const surplus = role.vmIds.slice(0, Math.max(0, role.vmIds.length - role.cardinality));
    endVms(context, service, role, surplus);
    context.watch.wait(service, role.name, 'scale-down', surplus);
    return;
  }
  const failure = makeVms(context, service, role);
  if (failure !== undefined) {
    service.body.log('E', failure, seconds(context.clock));
    scalingFailed(context, service, role);
    return;
  }
  context.watch.wait(service, role.name, 'scale-up', role.vmIds.slice(-service.body.lastGrowth(role.name)));
}

export function scalingFailed(context: EngineContext, service: LiveService, role: Role): void {
  role.state = 'FAILED_SCALING';
  service.body.enter('FAILED_SCALING', seconds(context.clock));
}

/** The VMs of a scaling are there, or gone: the cooldown begins. */
export function scalingIsOver(
  context: EngineContext,
  service: LiveService,
  role: Role,
  gone: ReadonlySet<number> | undefined,
): void {
  if (gone) {
    role.dropNodes(gone);
    context.watch.remove(gone);
  }
  delete role.json.scale_way;
  role.state = 'COOLDOWN';
  service.body.enter('COOLDOWN', seconds(context.clock));
  awaitCooldown(context, service, role.cooldown * 1000);
}

/** Ends the cooldown after `ms`; no cooldown at all ends at once, yet is seen in the log. */
export function awaitCooldown(context: EngineContext, service: LiveService, ms: number): void {
  service.timer?.cancel();
  if (ms <= 0) {
    endCooldown(context, service);
    return;
  }
  context.later(service, ms, () => endCooldown(context, service));
}

export function endCooldown(context: EngineContext, service: LiveService): void {
  service.timer?.cancel();
  for (const role of service.body.roles) if (role.state === 'COOLDOWN') role.state = 'RUNNING';
  enterRunning(context, service);
}
