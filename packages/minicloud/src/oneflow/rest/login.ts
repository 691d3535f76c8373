import type { Cloud } from '../cloud.ts';
import { isObject, objectAt } from '../json.ts';
import { Refusal } from '../refusal.ts';
import { listOf, type OwnedDocument, readXml, textOf } from '../wire.ts';

/** Who calls: the session for oned, and what decides what the caller may do. */
export interface Caller {
  session: string;
  id: string;
  groups: string[];
}

/**
 * The caller by the HTTP Basic header, checked with oned.
 *
 * @throws Refusal 401; a server that cannot reach oned says the same as for a wrong password
 */
export function logIn(cloud: Cloud, authorization: string | undefined): Caller {
  const encoded = /^Basic\s+(\S+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) throw new Refusal(401, 'A username and password must be provided');
  const session = Buffer.from(encoded, 'base64').toString('utf8');
  const answer = cloud.attempt(session, 'one.user.info', -1);
  if ('refused' in answer) throw new Refusal(401, 'Invalid credentials');
  const user = readXml(String(answer.value));
  const groups = listOf(objectAt(user, 'GROUPS').ID)
    .filter(id => !isObject(id))
    .map(String);
  return { session, id: textOf(user.ID), groups };
}

/**
 * The engine acts as the service's owner, so who may change a service is asked here.
 *
 * @throws Refusal 401 with the sentence oned has for it
 */
export function demandManage(caller: Caller, document: OwnedDocument): void {
  const { PERMISSIONS: permissions } = document;
  const isAdministrator = caller.id === '0' || caller.groups.includes('0');
  const isOwner = caller.id === document.UID && permissions.OWNER_M === '1';
  const isMember = caller.groups.includes(document.GID) && permissions.GROUP_M === '1';
  if (isAdministrator || isOwner || isMember || permissions.OTHER_M === '1') return;
  const wish = `Not authorized to perform MANAGE DOCUMENT [${document.ID}].`;
  throw new Refusal(401, `[one.document.update] User [${caller.id}] : ${wish}`);
}
