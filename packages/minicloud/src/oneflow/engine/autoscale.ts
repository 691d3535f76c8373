import { type AttributeReader, evaluateExpression } from '../expression/evaluate.ts';
import { parseExpression } from '../expression/parse.ts';
import { type JsonObject, numberAt } from '../json.ts';
import { isDueByCron, startTimeOf } from '../schedule.ts';
import { changeBy } from './adjust.ts';
import type { Role } from './body.ts';

/** What one round of the autoscaler found for a role. */
export interface Verdict {
  /** Nodes to add (or to remove, when negative). */
  change: number;
  /** Cooldown of the role from now on, in seconds; absent: as it is. */
  cooldown?: number;
}

/**
 * One round for one role: refill below min_vms comes first (and leaves no cooldown), then scheduled policies, then
 * elasticity; the first that changes anything ends the round. What was evaluated is written into the policies.
 *
 * @param reader gives the attributes of the role's running VMs; called only when the role has elasticity policies
 * @param now seconds since the epoch
 */
export function judgeRole(role: Role, reader: () => AttributeReader, now: number): Verdict | undefined {
  const { minimum, cardinality } = role;
  if (minimum !== undefined && cardinality < minimum) return { change: minimum - cardinality, cooldown: 0 };
  for (const policy of role.scheduled) {
    const change = isDue(policy, now) ? changeBy(policy, role) : 0;
    if (change !== 0) return verdict(policy, change);
  }
  if (role.policies.length === 0) return undefined;
  const read = reader();
  for (const policy of role.policies) {
    const change = hasFired(policy, read, now) ? changeBy(policy, role) : 0;
    if (change !== 0) return verdict(policy, change);
  }
  return undefined;
}

function verdict(policy: JsonObject, change: number): Verdict {
  const cooldown = numberAt(policy, 'cooldown');
  return cooldown === undefined ? { change } : { change, cooldown };
}

/** The first evaluation only takes down the time: what was due before it stays undone. */
function isDue(policy: JsonObject, now: number): boolean {
  const since = numberAt(policy, 'last_eval');
  policy.last_eval = now;
  if (since === undefined) return false;
  if (typeof policy.recurrence === 'string') return isDueByCron(policy.recurrence, since, now);
  const start = startTimeOf(policy.start_time);
  return start !== undefined && since < start && start <= now;
}

/** True rounds are counted up to `period_number`, so a policy without one shows 0 for ever and fires at once. */
function hasFired(policy: JsonObject, read: AttributeReader, now: number): boolean {
  const since = numberAt(policy, 'last_eval');
  if (since !== undefined && now < since + (numberAt(policy, 'period') ?? 0)) return false;
  const parsed = parseExpression(String(policy.expression));
  if (!parsed.ok) return false;
  const { holds, text } = evaluateExpression(parsed.expression, read);
  const needed = numberAt(policy, 'period_number') ?? 0;
  const rounds = holds ? Math.min((numberAt(policy, 'true_evals') ?? 0) + 1, needed) : 0;
  policy.last_eval = now;
  policy.true_evals = rounds;
  policy.expression_evaluated = text;
  return holds && rounds >= needed;
}
