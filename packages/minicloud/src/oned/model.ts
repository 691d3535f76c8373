import type { Stored } from './store.ts';
import type { Template } from './template/attributes.ts';

/** A lock on an object: oned's levels are 1 USE, 2 MANAGE, 3 ADMIN, 4 all. */
export interface Lock {
  readonly level: number;
  readonly owner: number;
  readonly time: number;
  readonly requestId: number;
}

/** What every object with an owner has. `permissions` is nine digits: use, manage, admin of owner, group, others. */
export interface Owned extends Stored {
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  readonly permissions: string;
  readonly lock?: Lock;
  readonly template: Template;
}

/** A login token of a user. */
export interface LoginToken {
  readonly token: string;
  /** Seconds since the epoch; -1 never ends. */
  readonly expires: number;
  readonly egid: number;
}

/** A user. */
export interface User extends Stored {
  readonly gid: number;
  readonly groups: readonly number[];
  readonly name: string;
  /** SHA-256 of the password, in hexadecimal, as oned keeps it. */
  readonly password: string;
  readonly driver: string;
  readonly enabled: boolean;
  readonly tokens: readonly LoginToken[];
  readonly template: Template;
  /** The VM quota's limits by name; absent: none. */
  readonly vmQuota?: Readonly<Record<string, string>>;
}

/** A group. */
export interface Group extends Stored {
  readonly name: string;
  readonly template: Template;
}

/** A document: what applications such as OneFlow keep, by type. */
export interface Document extends Owned {
  readonly type: number;
}

/** A VM template, and a network template, which has the same form. */
export interface VmTemplate extends Owned {
  readonly registered: number;
}

/** What the dispatcher hands to a handler. */
export interface Caller {
  readonly id: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

/** An administrator: oneadmin and the members of group 0. */
export function isAdmin(caller: Caller): boolean {
  return caller.id === 0 || caller.groups.includes(0);
}
