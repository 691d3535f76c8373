import { cloneJson, deepMerge, isObject, type Json, type JsonObject, numberAt, objectAt } from '../json.ts';
import { templateText } from '../schema/template-text.ts';
import { readXml } from '../wire.ts';
import { resolveReferences } from './attributes.ts';
import type { Role } from './body.ts';
import type { EngineContext } from './context.ts';
import type { LiveService } from './live.ts';
import { hasFailed } from './states.ts';

/** `one.vm.recover` operations. */
const RETRY = 2;
const DELETE = 3;

/**
 * Makes as many VMs as the role lacks, each from the VM template with the role's contents merged in.
 *
 * @returns the error sentence of the service's log when one could not be made
 */
export function makeVms(context: EngineContext, service: LiveService, role: Role): string | undefined {
  const count = role.cardinality - role.vmIds.length;
  if (count <= 0) return undefined;
  const session = context.sessionOf(service);
  const templateId = numberAt(role.json, 'template_id') ?? -1;
  const extra = extraTemplate(context, service, role, session, templateId);
  const nodes = Array.isArray(role.json.nodes) ? role.json.nodes : [];
  role.json.nodes = nodes;
  return context.watch.whileMaking(() => {
    for (let made = 0; made < count; made++) {
      const number = numberAt(role.json, 'last_vmname') ?? 0;
      const name = vmName(role.name, number, service.id);
      role.json.last_vmname = number + 1;
      const hold = role.json.on_hold === true;
      const answer = context.cloud.attempt(session, 'one.template.instantiate', templateId, name, hold, extra, false);
      if ('refused' in answer) {
        return `Role ${role.name} : Instantiate failed for template ${templateId}; ${answer.refused}`;
      }
      const vmId = Number(answer.value);
      nodes.push(nodeOf(service, vmId, name));
      context.watch.add(vmId, service, role.name);
    }
    return undefined;
  });
}

export function vmName(role: string, number: number, serviceId: number): string {
  return `${role}_${number}_(service_${serviceId})`;
}

/** A node as the document keeps it: the VM's identity and nothing else. */
export function nodeOf(service: LiveService, vmId: number, name: string): JsonObject {
  const { UID, GID, UNAME, GNAME } = service.owner;
  return { deploy_id: vmId, vm_info: { VM: { ID: String(vmId), UID, GID, UNAME, GNAME, NAME: name } } };
}

/** Asks VMs to end, by the role's shutdown action; only `terminate-hard` is hard, `shutdown-hard` is not. */
export function endVms(context: EngineContext, service: LiveService, role: Role, vmIds: Iterable<number>): void {
  const wanted = role.json.shutdown_action ?? service.body.json.shutdown_action ?? 'terminate';
  const action = wanted === 'terminate-hard' ? 'terminate-hard' : 'terminate';
  const session = context.sessionOf(service);
  for (const vmId of vmIds) {
    const answer = context.cloud.attempt(session, 'one.vm.action', action, vmId);
    if ('refused' in answer) removeVm(context, session, vmId);
  }
}

/** Removes VMs whatever their state. */
export function removeVms(context: EngineContext, service: LiveService, vmIds: Iterable<number>): void {
  const session = context.sessionOf(service);
  for (const vmId of vmIds) removeVm(context, session, vmId);
}

function removeVm(context: EngineContext, session: string, vmId: number): void {
  const answer = context.cloud.attempt(session, 'one.vm.recover', vmId, DELETE);
  if ('refused' in answer) context.cloud.attempt(session, 'one.vm.action', 'terminate-hard', vmId);
}

/** Tries the failed action of the role's failed VMs again. */
export function retryVms(context: EngineContext, service: LiveService, role: Role): void {
  const session = context.sessionOf(service);
  for (const vmId of role.vmIds) {
    if (hasFailed(context.watch.conditionOf(vmId))) context.cloud.attempt(session, 'one.vm.recover', vmId, RETRY);
  }
}

/** The description of a VM, or undefined when there is none. */
export function vmInfo(context: EngineContext, service: LiveService, vmId: number): JsonObject | undefined {
  const answer = context.cloud.attempt(context.sessionOf(service), 'one.vm.info', vmId, false);
  return 'value' in answer ? readXml(String(answer.value)) : undefined;
}

/**
 * What goes on top of the VM template: the role's contents merged into it, with references to parents' VMs resolved.
 * The whole merged template is searched for references, and where the VM template itself had one, it goes along.
 */
function extraTemplate(
  context: EngineContext,
  service: LiveService,
  role: Role,
  session: string,
  templateId: number,
): string {
  const answer = context.cloud.attempt(session, 'one.template.info', templateId, false, false);
  const base = 'value' in answer ? objectAt(readXml(String(answer.value)), 'TEMPLATE') : {};
  const contents = objectAt(role.json, 'template_contents');
  const merged = deepMerge(base, contents);
  const resolved = resolveReferences(merged, parentReader(context, service, role));
  const extra: JsonObject = {};
  for (const [key, value] of Object.entries(isObject(resolved) ? resolved : {})) {
    if (key in contents || !sameJson(value, base[key])) extra[key] = withoutUnconnected(value);
  }
  return templateText({ ...extra, SERVICE_ID: String(service.id), ROLE_NAME: role.name });
}

function parentReader(
  context: EngineContext,
  service: LiveService,
  role: Role,
): (name: string) => JsonObject | undefined {
  const seen = new Map<string, JsonObject | undefined>();
  return name => {
    if (!role.parents.includes(name)) return undefined;
    if (!seen.has(name)) {
      const vmId = service.body.role(name)?.vmIds[0];
      seen.set(name, vmId === undefined ? undefined : vmInfo(context, service, vmId));
    }
    return seen.get(name);
  };
}

/** A NIC of a network that got no value is no NIC: the VM is made all the same. */
function withoutUnconnected(value: Json): Json {
  if (!Array.isArray(value)) return cloneJson(value);
  return cloneJson(value.filter(item => !isObject(item) || item.NETWORK_ID !== null));
}

function sameJson(one: Json, other: Json | undefined): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
