import { arrayAt, isObject, type Json, type JsonObject, objectAt } from '../json.ts';
import { Refusal } from '../refusal.ts';

/**
 * The values of the service's networks: those given, or else the defaults written in the template as
 * `M|network|text| |id:1` (`id`, `template_id` or `reserve_from`, then optionally `:` and extra template text).
 *
 * @throws Refusal 400 when a network has no value, or a default cannot be read
 */
export function networkValues(template: JsonObject, given: Json | undefined): Json[] {
  const networks = objectAt(template, 'networks');
  const names = Object.keys(networks);
  if (names.length === 0) return Array.isArray(given) ? given : [];
  if (Array.isArray(given) && given.length > 0) {
    const valued = new Set(given.filter(isObject).flatMap(value => Object.keys(value)));
    if (names.every(name => valued.has(name))) return given;
    throw new Refusal(400, 'Every network key must have its value defined at networks_value');
  }
  return names.map(name => ({ [name]: defaultOf(networks[name]) }));
}

function defaultOf(declaration: Json | undefined): JsonObject {
  const value = typeof declaration === 'string' ? declaration.split('|')[4] : undefined;
  const [, key, id, extra] = /^(id|template_id|reserve_from):([^:]*)(?::([\s\S]*))?$/.exec(value?.trim() ?? '') ?? [];
  if (key === undefined) throw new Refusal(400, 'Wrong networks format');
  const read: JsonObject = { [key]: id === undefined || id === '' ? null : id };
  if (extra !== undefined) read.extra = extra;
  return read;
}

/** Writes the ids of the service's networks where a role's NICs name them as `$Name`. */
export function fillNetworks(role: JsonObject, values: Json[]): void {
  const contents = objectAt(role, 'template_contents');
  const ids = new Map<string, Json>();
  for (const value of values.filter(isObject)) {
    for (const [name, network] of Object.entries(value)) {
      if (isObject(network)) ids.set(`$${name}`, network.id ?? null);
    }
  }
  for (const kind of ['NIC', 'NIC_ALIAS']) {
    const nics = isObject(contents[kind]) ? [contents[kind]] : arrayAt(contents, kind).filter(isObject);
    for (const nic of nics) {
      const id = ids.get(String(nic.NETWORK_ID));
      if (id !== undefined) nic.NETWORK_ID = id;
    }
  }
}
