import type { Cloud } from '../cloud.ts';
import { isObject, type JsonObject, numberAt, objectAt, textAt } from '../json.ts';
import { crash, Refusal } from '../refusal.ts';
import { parseJson } from '../schema/service-template.ts';
import type { RestAnswer } from './http.ts';
import { doneAnswer } from './http.ts';

/** What an action request asks for. */
export interface Action {
  perform: string;
  params: JsonObject;
}

/**
 * Reads `{"action": {"perform": …, "params": {…}}}`.
 *
 * @throws Refusal 500: here the real server's code breaks on what it cannot read
 */
export function readAction(body: string): Action {
  const action = parseOrCrash(body).action;
  if (!isObject(action)) throw crash("undefined method `[]' for nil:NilClass");
  return { perform: textAt(action, 'perform') ?? '', params: objectAt(action, 'params') };
}

/** JSON where broken JSON is a crash and not a refusal. */
export function parseOrCrash(body: string): JsonObject {
  try {
    const parsed = parseJson(body);
    return isObject(parsed) ? parsed : {};
  } catch (error) {
    if (error instanceof Refusal) throw crash(error.message);
    throw error;
  }
}

/** Owner, rights and name of a document: the same for services and templates. Undefined for any other action. */
export function documentAction(cloud: Cloud, session: string, id: number, action: Action): RestAnswer | undefined {
  const { perform, params } = action;
  switch (perform) {
    case 'chmod':
      cloud.call(session, 'one.document.chmod', id, ...modeBits(needed(perform, params, 'octet', 'an OCTET')));
      break;
    case 'chown': {
      const owner = needed(perform, params, 'owner_id', 'a UID');
      cloud.call(session, 'one.document.chown', id, Number(owner), numberAt(params, 'group_id') ?? -1);
      break;
    }
    case 'chgrp':
      cloud.call(session, 'one.document.chown', id, -1, Number(needed(perform, params, 'group_id', 'a GID')));
      break;
    case 'rename':
      cloud.call(session, 'one.document.rename', id, needed(perform, params, 'name', 'a name'));
      break;
    default:
      return undefined;
  }
  return doneAnswer();
}

function needed(perform: string, params: JsonObject, key: string, what: string): string {
  const value = textAt(params, key);
  if (value === undefined) throw new Refusal(500, `Action ${perform}: You have to specify ${what}`);
  return value;
}

/** `640` as oned's nine flags: use, manage, admin of owner, group, others. */
function modeBits(octet: string): number[] {
  const digits = octet.padStart(3, '0').slice(-3).split('').map(Number);
  return digits.flatMap(digit => [(digit >> 2) & 1, (digit >> 1) & 1, digit & 1]);
}
