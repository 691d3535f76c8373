import { errno, RequestError } from './errors.ts';
import { type Caller, isAdmin, type Lock, type Owned } from './model.ts';

/** What a request wants to do with an object, as oned words it. */
export type Operation = 'USE' | 'MANAGE' | 'ADMIN' | 'CREATE';

const ranks: Record<Operation, number> = { USE: 1, MANAGE: 2, ADMIN: 3, CREATE: 2 };
const columns: Record<Operation, number> = { USE: 0, MANAGE: 1, ADMIN: 2, CREATE: 1 };

/** Group `users` and everybody outside oneadmin's group: what the rules of a fresh installation let them do. */
const standing: Record<string, readonly Operation[]> = {
  VM: ['CREATE'],
  IMAGE: ['CREATE'],
  TEMPLATE: ['CREATE'],
  DOCUMENT: ['CREATE'],
  HOST: ['MANAGE'],
  NET: ['USE'],
  DATASTORE: ['USE'],
  ZONE: ['USE'],
};

/** One thing that a request wants to do. */
export interface Wish {
  operation: Operation;
  /** oned's name of the kind: `VM`, `NET`, `TEMPLATE`. */
  kind: string;
  object?: Pick<Owned, 'id' | 'uid' | 'gid' | 'permissions'> & { lock?: Lock };
  /** Shown in brackets where there is no object to show. */
  id?: number;
}

/** Whether a lock of that level stops the operation. */
function lockStops(lock: Lock | undefined, operation: Operation): boolean {
  if (!lock) return false;
  const level = lock.level === 4 ? 1 : lock.level;
  return ranks[operation] >= level;
}

/** Whether the caller may do that, apart from locks. */
export function may(caller: Caller, wish: Wish): boolean {
  if (isAdmin(caller)) return true;
  if (standing[wish.kind]?.includes(wish.operation)) return true;
  const { object } = wish;
  if (!object) return false;
  const digit = (role: number): boolean => object.permissions[role * 3 + columns[wish.operation]] === '1';
  if (object.uid === caller.id && digit(0)) return true;
  if (caller.groups.includes(object.gid) && digit(1)) return true;
  return digit(2);
}

function nameOf(wish: Wish): string {
  const id = wish.object?.id ?? wish.id;
  return `${wish.operation} ${wish.kind}${id === undefined ? '' : ` [${id}]`}`;
}

/** Throws the refusal that lists every wish which is not granted (errno 512). */
export function authorize(caller: Caller, ...wishes: Wish[]): void {
  const refused = wishes.filter(wish => !may(caller, wish)).map(wish => `Not authorized to perform ${nameOf(wish)}`);
  if (refused.length > 0) throw new RequestError(errno.authorization, `User [${caller.id}] : ${refused.join('; ')}.`);
  for (const wish of wishes) {
    if (!lockStops(wish.object?.lock, wish.operation)) continue;
    const id = wish.object?.id;
    throw new RequestError(errno.authorization, `User [${caller.id}] : ${wish.kind} is locked. [${id}].`);
  }
}

/** Reading needs USE, and a lock does not stop it. */
export function authorizeRead(caller: Caller, wish: Wish): void {
  if (may(caller, wish)) return;
  throw new RequestError(errno.authorization, `User [${caller.id}] : Not authorized to perform ${nameOf(wish)}.`);
}
