import { parseExpression } from '../expression/parse.ts';
import { arrayAt, isObject, type JsonObject } from '../json.ts';
import { Refusal } from '../refusal.ts';
import { isCronLine, startTimeOf } from '../schedule.ts';

/**
 * What the schema of one policy alone cannot tell: both limits are there, expressions parse, times make sense.
 *
 * @throws Refusal 400 with the server's sentence
 */
export function checkPolicies(role: JsonObject): void {
  const elasticity = arrayAt(role, 'elasticity_policies').filter(isObject);
  const scheduled = arrayAt(role, 'scheduled_policies').filter(isObject);
  const limited = role.min_vms !== undefined && role.max_vms !== undefined;
  if (elasticity.length + scheduled.length > 0 && !limited) {
    throw new Refusal(
      400,
      `Role '${role.name}' with  'elasticity_policies' or 'scheduled_policies'must define both 'min_vms' and 'max_vms'`,
    );
  }
  for (const [index, policy] of elasticity.entries()) {
    checkExpression(policy, `Role '${role.name}', elasticity policy #${index}`);
  }
  for (const [index, policy] of scheduled.entries()) {
    checkTime(policy, `Role '${role.name}', scheduled policy #${index}`);
  }
}

function checkExpression(policy: JsonObject, where: string): void {
  const text = String(policy.expression);
  if (text === '') throw new Refusal(400, `${where} 'expression' cannot be empty`);
  const result = parseExpression(text);
  if (!result.ok) throw new Refusal(400, `${where} 'expression' parse error: ${result.message}`);
}

function checkTime(policy: JsonObject, where: string): void {
  const hasStart = policy.start_time !== undefined && policy.start_time !== null;
  const { recurrence } = policy;
  if (hasStart && recurrence !== undefined) {
    throw new Refusal(400, `${where} must define 'start_time' or 'recurrence', but not both`);
  }
  if (hasStart) {
    if (startTimeOf(policy.start_time) === undefined)
      throw new Refusal(400, `${where} 'start_time' is not a valid time`);
    return;
  }
  if (typeof recurrence !== 'string') {
    throw new Refusal(400, `${where} needs to define either 'start_time' or 'recurrence'`);
  }
  if (!isCronLine(recurrence)) throw new Refusal(400, `${where} 'recurrence' is not a valid cron expression`);
}
