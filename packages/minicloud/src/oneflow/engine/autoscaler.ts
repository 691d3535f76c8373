import { Refusal } from '../refusal.ts';
import { readerOf } from './attributes.ts';
import { judgeRole } from './autoscale.ts';
import type { Role } from './body.ts';
import { type EngineContext, seconds } from './context.ts';
import type { LiveService } from './live.ts';
import { scaleRole } from './scale.ts';
import { vmInfo } from './vms.ts';

/** One round for one service, which must run: the first role that has to change is scaled, and that is all. */
export function autoscale(context: EngineContext, service: LiveService): void {
  const { body } = service;
  if (body.state !== 'RUNNING') return;
  for (const role of body.roles) {
    const reader = () => readerOf(role.vmIds.map(id => vmInfo(context, service, id)).filter(vm => vm !== undefined));
    const verdict = judgeRole(role, reader, seconds(context.clock));
    if (!verdict) continue;
    // A policy's cooldown becomes the role's own, for good.
    if (verdict.cooldown !== undefined) role.json.cooldown = verdict.cooldown;
    scaleUnlessRefused(context, service, role, role.cardinality + verdict.change);
    return;
  }
  if (body.roles.some(role => role.policies.length + role.scheduled.length > 0)) context.save(service);
}

/** A policy may ask for what its role's limits forbid (CARDINALITY below min_vms): then nothing happens. */
function scaleUnlessRefused(context: EngineContext, service: LiveService, role: Role, cardinality: number): void {
  try {
    scaleRole(context, service, role, cardinality, false);
  } catch (error) {
    if (!(error instanceof Refusal && error.status === 500)) throw error;
    context.save(service);
  }
}
