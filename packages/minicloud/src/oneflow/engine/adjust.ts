import { type JsonObject, numberAt } from '../json.ts';
import type { Role } from './body.ts';

/**
 * By how many nodes a policy would change a role. Percentages are cut to whole nodes, then at least
 * `min_adjust_step` or one. Growth is limited by max_vms only, shrinking by min_vms only.
 */
export function changeBy(policy: JsonObject, role: Role): number {
  const adjust = numberAt(policy, 'adjust') ?? 0;
  const wanted = wantedCardinality(policy, role.cardinality, adjust);
  if (adjust > 0 && role.maximum !== undefined) return Math.min(wanted, role.maximum) - role.cardinality;
  if (adjust < 0 && role.minimum !== undefined) return Math.max(wanted, role.minimum) - role.cardinality;
  return wanted - role.cardinality;
}

function wantedCardinality(policy: JsonObject, cardinality: number, adjust: number): number {
  if (policy.type === 'CARDINALITY') return adjust;
  if (policy.type === 'CHANGE') return cardinality + adjust;
  const step = Math.max(1, numberAt(policy, 'min_adjust_step') ?? 1);
  const change = Math.trunc((cardinality * adjust) / 100);
  return cardinality + (Math.abs(change) < step ? Math.sign(adjust) * step : change);
}
