import type { ServiceBody } from '../engine/body.ts';
import { canUpdate } from '../engine/states.ts';
import { cloneJson, isObject, type Json, type JsonObject } from '../json.ts';
import { Refusal } from '../refusal.ts';
import { checkService } from '../schema/service-template.ts';

/** Keys that an update must leave as they are, in the order in which they are looked at. */
const fixedOfService = [
  'deployment',
  'name',
  'networks',
  'networks_values',
  'ready_status_gate',
  'state',
  'start_time',
  'user_inputs',
  'user_inputs_values',
];
const fixedOfRole = ['cardinality', 'nodes', 'parents', 'state', 'template_id'];

/**
 * Replaces a service's body, in place.
 *
 * @throws Refusal 400 for a body that is no service; 500 in a state that does not allow it, or when a value that
 * must stay would change
 */
export function replaceService(body: ServiceBody, given: JsonObject): void {
  if (!canUpdate(body.state)) throw new Refusal(500, `Service cannot be updated in state: ${body.state}`);
  const next = cloneJson(given);
  checkService(next);
  refuseChange('service', fixedOfService, body.json, next);
  const roles = (Array.isArray(next.roles) ? next.roles : []).filter(isObject);
  const names = body.roles.map(role => role.name);
  if (roles.map(role => role.name).join() !== names.join()) throw immutable('service/roles');
  body.roles.forEach((role, index) => {
    refuseChange('role', fixedOfRole, role.json, roles[index] ?? {});
  });
  const { log } = body.json;
  for (const key of Object.keys(body.json)) delete body.json[key];
  Object.assign(body.json, next);
  if (log !== undefined) body.json.log = log;
}

function refuseChange(what: string, keys: string[], before: JsonObject, after: JsonObject): void {
  for (const key of keys) if (!equal(before[key], after[key])) throw immutable(`${what}/${key}`);
}

function immutable(key: string): Refusal {
  return new Refusal(500, `Immutable value: \`${key}\` can not be changed`);
}

function equal(one: Json | undefined, other: Json | undefined): boolean {
  return JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
}
