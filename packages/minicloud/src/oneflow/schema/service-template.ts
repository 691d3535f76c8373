import { arrayAt, isObject, type Json, type JsonObject, numberAt } from '../json.ts';
import { crash, Refusal } from '../refusal.ts';
import { checkObject } from './check.ts';
import { convertOldFormat } from './old-format.ts';
import { checkPolicies } from './policies.ts';
import { roleSchema, serviceSchema } from './properties.ts';

/**
 * Parses the text of a request as JSON.
 *
 * @throws Refusal 400 with the sentence of the server's JSON reader, which shows the text it could not read
 */
export function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    throw new Refusal(400, `unexpected token at '${text}'`);
  }
}

/**
 * Checks a service template as posted, converting the 6.x shape first; defaults are put into the body.
 *
 * @throws Refusal 400 with the server's sentence, or 500 where its code breaks (body that is no object)
 */
export function checkServiceTemplate(body: Json): JsonObject {
  if (!isObject(body)) throw crash(notAnObject(body));
  const converted = convertOldFormat(body);
  checkService(converted);
  return converted;
}

/** Like {@link checkServiceTemplate} for a body that is in today's shape: merged templates and updates. */
export function checkService(body: JsonObject): void {
  checkObject(serviceSchema, body);
  const roles = arrayAt(body, 'roles');
  const names = new Set<string>();
  for (const role of roles) checkRoleShape(role);
  for (const role of roles.filter(isObject)) {
    const name = String(role.name);
    if (names.has(name)) throw new Refusal(400, `Role name '${name}' is repeated`);
    names.add(name);
  }
  for (const role of roles.filter(isObject)) checkRoleLimits(role);
}

/** Checks one role, as `add_role` hands it in. */
export function checkRole(role: Json): JsonObject {
  const checked = checkRoleShape(role);
  checkRoleLimits(checked);
  return checked;
}

function checkRoleShape(role: Json): JsonObject {
  if (!isObject(role)) throw new Refusal(400, `KEY: 'roles' must be an Hash;`);
  if (typeof role.type === 'string' && role.type !== 'vm') {
    throw new Refusal(400, `Unsupported role type ${JSON.stringify(role.type)}`);
  }
  checkObject(roleSchema, role);
  return role;
}

function checkRoleLimits(role: JsonObject): void {
  const cardinality = numberAt(role, 'cardinality') ?? 0;
  const minimum = numberAt(role, 'min_vms');
  const maximum = numberAt(role, 'max_vms');
  if (minimum !== undefined && cardinality < minimum) {
    throw new Refusal(400, `Role '${role.name}' 'cardinality' must be greater than or equal to 'min_vms'`);
  }
  if (maximum !== undefined && cardinality > maximum) {
    throw new Refusal(400, `Role '${role.name}' 'cardinality' must be lower than or equal to 'max_vms'`);
  }
  checkPolicies(role);
}

/** The server asks the body for its keys before it checks what the body is; this is what it says then. */
function notAnObject(body: Json): string {
  const kinds = { string: 'String', number: 'Integer', boolean: body === true ? 'TrueClass' : 'FalseClass' };
  if (body === null) return "undefined method `key?' for nil:NilClass";
  const kind = Array.isArray(body) ? 'Array' : kinds[typeof body as keyof typeof kinds];
  return `undefined method \`key?' for ${JSON.stringify(body)}:${kind}`;
}
