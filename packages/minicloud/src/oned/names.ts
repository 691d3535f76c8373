import { errno, RequestError } from './errors.ts';
import type { Owned } from './model.ts';

/** Characters that no object name may hold; user names also take no blank and colon. */
const forbidden = ['&', '|', ':', '\\', '"', ';', '/', "'", '#', '{', '}', '$', '<', '>'];
const forbiddenInAccounts = [...forbidden, ' ', '\t', '\n', '\v', '\f', '\r'];
const longestName = 128;

function refuse(code: number, message: string): never {
  throw new RequestError(code, message);
}

/** Checks a name; `code` is the error number of the method that sets it (allocate 8192, rename 2048). */
export function checkName(name: string, code: number = errno.internal, extra: readonly string[] = []): void {
  if (name === '') refuse(code, 'Invalid NAME, it cannot be empty');
  if (name.length > longestName) refuse(code, `Invalid NAME, max length is ${longestName} chars.`);
  for (const character of name) {
    if (extra.includes(character)) refuse(code, `Invalid NAME, char '${character}' is not allowed.`);
  }
}

/** Checks the name of a user or group. */
export function checkAccountName(name: string): void {
  checkName(name, errno.internal, forbiddenInAccounts);
}

/** The index that makes names findable per owner. */
export const ownedNameIndex = {
  name: (object: Owned): string[] => [`${object.uid}:${object.name}`],
};

/** Refuses a name that another object of the same owner has; `kind` is oned's name of the kind. */
export function checkNameIsFree(
  table: { lookup(index: string, key: string): ReadonlySet<number> },
  owned: { uid: number; name: string; id?: number },
  kind: string,
  code: number = errno.internal,
): void {
  const [taken] = [...table.lookup('name', `${owned.uid}:${owned.name}`)].filter(id => id !== owned.id);
  if (taken !== undefined) refuse(code, `NAME is already taken by ${kind} ${taken}.`);
}
