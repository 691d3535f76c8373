import { arrayAt, cloneJson, deepMerge, isObject, type JsonObject } from '../json.ts';
import { Refusal } from '../refusal.ts';
import { checkUserInputs } from './inputs.ts';
import { networkValues } from './networks.ts';
import { checkService } from './service-template.ts';

/**
 * The body of a new service: the template with what the caller merges into it, checked. Roles are matched by name.
 *
 * @param now seconds since the epoch, the service's `start_time`
 * @throws Refusal 400 for inputs and networks without values; 500 for what the merged template breaks
 */
export function newServiceBody(template: JsonObject, given: JsonObject, now: number): JsonObject {
  const { custom_attrs_values: oldValues, ...today } = given;
  const merge: JsonObject = oldValues === undefined ? today : { user_inputs_values: oldValues, ...today };
  checkUserInputs(template, merge);
  const networks = networkValues(template, merge.networks_values);
  const { roles, networks_values: _networks, user_inputs_values: values, ...rest } = merge;
  const body = deepMerge(template, rest);
  mergeRoles(body, arrayAt({ roles: roles ?? null }, 'roles').filter(isObject));
  if (networks.length > 0) body.networks_values = cloneJson(networks);
  if (values !== undefined) body.user_inputs_values = cloneJson(values);
  checkMerged(body);
  for (const role of arrayAt(body, 'roles').filter(isObject)) startAfresh(role);
  body.state = 0;
  body.start_time = now;
  return body;
}

/** What a role collects while it runs is not taken from a template: its VMs would be somebody else's. */
export function startAfresh(role: JsonObject): void {
  for (const key of ['nodes', 'last_vmname', 'scale_way', 'removing']) delete role[key];
  role.state = 0;
}

function mergeRoles(body: JsonObject, given: JsonObject[]): void {
  body.roles = arrayAt(body, 'roles')
    .filter(isObject)
    .map(role => {
      const over = given.find(candidate => candidate.name === role.name);
      return over ? deepMerge(role, over) : role;
    });
}

/** What would be 400 for a posted template is 500 for a merged one. */
function checkMerged(body: JsonObject): void {
  try {
    checkService(body);
  } catch (error) {
    if (error instanceof Refusal && error.status === 400) throw new Refusal(500, error.message);
    throw error;
  }
}
