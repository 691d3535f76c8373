import { documentTypes } from '../cloud.ts';
import { arrayAt, isObject, type JsonObject, objectAt } from '../json.ts';
import { Refusal } from '../refusal.ts';
import { type EngineContext, seconds } from './context.ts';
import type { LiveService, Owner } from './live.ts';
import { isDone } from './states.ts';

/**
 * Takes note of a service document's owner and group, and gives the VMs to them too, as the caller; `administrator` is
 * the session that reads the document and takes everything back when a VM is refused.
 *
 * @throws Refusal 500 with oned's sentence for that VM; owner and group are then as before
 */
export function followOwner(
  context: EngineContext,
  service: LiveService,
  sessions: { caller: string; administrator: string },
): void {
  const { cloud } = context;
  const before = service.owner;
  const now = cloud.document(sessions.administrator, documentTypes.service, service.id);
  service.owner = now;
  if (now.UID === before.UID && now.GID === before.GID) return;
  const given: number[] = [];
  const refused = giveVms(context, service, sessions.caller, given);
  if (refused !== undefined) {
    service.owner = before;
    for (const id of given) cloud.attempt(sessions.administrator, 'one.vm.chown', id, ...idsOf(before));
    cloud.call(sessions.administrator, 'one.document.chown', service.id, ...idsOf(before));
    context.save(service);
    throw new Refusal(500, refused);
  }
  for (const node of nodesOf(service)) Object.assign(objectAt(objectAt(node, 'vm_info'), 'VM'), identityOf(now));
  context.save(service);
}

/** Gives the VMs that are not gone to the service's owner and collects them in `given`; the refusal, if there is one. */
function giveVms(context: EngineContext, service: LiveService, session: string, given: number[]): string | undefined {
  for (const role of service.body.roles) {
    for (const id of role.vmIds) {
      if (isDone(context.watch.conditionOf(id))) continue;
      const answer = context.cloud.attempt(session, 'one.vm.chown', id, ...idsOf(service.owner));
      if ('refused' in answer) {
        const sentence = `Role ${role.name} : Chown failed for VM ${id}; ${answer.refused}`;
        service.body.log('E', sentence, seconds(context.clock));
        return answer.refused;
      }
      given.push(id);
    }
  }
  return undefined;
}

function idsOf(owner: Owner): [number, number] {
  return [Number(owner.UID), Number(owner.GID)];
}

function identityOf({ UID, GID, UNAME, GNAME }: Owner): JsonObject {
  return { UID, GID, UNAME, GNAME };
}

function nodesOf(service: LiveService): JsonObject[] {
  return service.body.roles.flatMap(role => arrayAt(role.json, 'nodes').filter(isObject));
}
