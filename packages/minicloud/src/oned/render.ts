import type { Accounts } from './accounts.ts';
import type { Lock, Owned } from './model.ts';

const permissionNames = [
  'OWNER_U',
  'OWNER_M',
  'OWNER_A',
  'GROUP_U',
  'GROUP_M',
  'GROUP_A',
  'OTHER_U',
  'OTHER_M',
  'OTHER_A',
];

/** An element with text that needs no CDATA. `&`, `<` and `>` are escaped. */
export function element(name: string, text: string | number): string {
  return `<${name}>${escapeText(String(text))}</${name}>`;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** A list of ids: `<VMS><ID>1</ID></VMS>`. */
export function idList(name: string, ids: Iterable<number>): string {
  return `<${name}>${[...ids].map(id => `<ID>${id}</ID>`).join('')}</${name}>`;
}

/** `<ID>` to `<NAME>` of an object with an owner. */
export function renderHead(accounts: Accounts, object: Owned): string {
  return [
    element('ID', object.id),
    element('UID', object.uid),
    element('GID', object.gid),
    element('UNAME', accounts.userName(object.uid)),
    element('GNAME', accounts.groupName(object.gid)),
    element('NAME', object.name),
  ].join('');
}

/** The nine permissions. */
export function renderPermissions(object: Owned): string {
  const digits = permissionNames.map((name, index) => element(name, object.permissions[index] ?? '0'));
  return `<PERMISSIONS>${digits.join('')}</PERMISSIONS>`;
}

/** The lock, or nothing. */
export function renderLock(lock: Lock | undefined): string {
  if (!lock) return '';
  const parts = [
    element('LOCKED', lock.level),
    element('OWNER', lock.owner),
    element('TIME', lock.time),
    element('REQ_ID', lock.requestId),
  ];
  return `<LOCK>${parts.join('')}</LOCK>`;
}
