import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Caller, Group, User } from './model.ts';
import type { Store, Table } from './store.ts';
import type { Template } from './template/attributes.ts';

/** SHA-256 in hexadecimal: how oned keeps passwords. */
export function passwordHash(password: string): string {
  return createHash('sha256').update(password, 'utf8').digest('hex');
}

function equal(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

/** 64 hexadecimal digits of chance: login tokens and TOKEN_PASSWORD. */
export function randomToken(): string {
  return randomBytes(32).toString('hex');
}

const usersGroup: Template = [
  {
    name: 'SUNSTONE',
    value: {
      DEFAULT_VIEW: 'cloud',
      GROUP_ADMIN_DEFAULT_VIEW: 'groupadmin',
      GROUP_ADMIN_VIEWS: 'groupadmin,cloud',
      VIEWS: 'cloud',
    },
  },
];

/** The users and groups, and who a session belongs to. */
export class Accounts {
  readonly users: Table<User>;
  readonly groups: Table<Group>;
  readonly #store: Store;
  readonly #seconds: () => number;
  /** Sessions by which the cloud's own parts act for a user; never stored, never shown. */
  readonly #own = new Map<number, string>();

  constructor(store: Store, seconds: () => number) {
    this.#store = store;
    this.#seconds = seconds;
    this.users = store.table<User>('user', { indexes: { name: user => [user.name] } });
    this.groups = store.table<Group>('usergroup');
  }

  /** Makes what a fresh installation has: groups oneadmin and users, users oneadmin and serveradmin. */
  initialise(admin: { name: string; password: string }): void {
    if (this.users.get(0)) return;
    this.groups.put({ id: 0, name: 'oneadmin', template: [] });
    this.groups.put({ id: 1, name: 'users', template: usersGroup });
    this.#store.setNextId('group', 100);
    this.add({ name: admin.name, password: admin.password, driver: 'core', gid: 0 });
    this.add({ name: 'serveradmin', password: randomToken(), driver: 'server_cipher', gid: 0 });
  }

  add(user: { name: string; password: string; driver: string; gid: number }): User {
    const added: User = {
      id: this.#store.takeId('user'),
      gid: user.gid,
      groups: [user.gid],
      name: user.name,
      password: passwordHash(user.password),
      driver: user.driver,
      enabled: true,
      tokens: [],
      template: [{ name: 'TOKEN_PASSWORD', value: randomToken() }],
    };
    this.users.put(added);
    return added;
  }

  byName(name: string): User | undefined {
    const [id] = this.users.lookup('name', name);
    return id === undefined ? undefined : this.users.get(id);
  }

  userName(id: number): string {
    return this.users.get(id)?.name ?? '';
  }

  groupName(id: number): string {
    return this.groups.get(id)?.name ?? '';
  }

  /** Who `user:password` or `user:token` belongs to; undefined when nobody. */
  authenticate(session: string): Caller | undefined {
    const colon = session.indexOf(':');
    if (colon < 0) return undefined;
    const user = this.byName(session.slice(0, colon));
    const secret = session.slice(colon + 1);
    if (!user?.enabled || !this.#knows(user, secret)) return undefined;
    return { id: user.id, gid: user.gid, groups: user.groups };
  }

  #knows(user: User, secret: string): boolean {
    const own = this.#own.get(user.id);
    if (own !== undefined && equal(own, secret)) return true;
    const now = this.#seconds();
    if (user.tokens.some(token => (token.expires < 0 || token.expires > now) && equal(token.token, secret)))
      return true;
    return user.driver === 'core' && equal(user.password, passwordHash(secret));
  }

  /** A session for acting as that user, good until this process ends. */
  sessionFor(id: number): string | undefined {
    const user = this.users.get(id);
    if (!user) return undefined;
    const own = this.#own.get(id) ?? randomToken();
    this.#own.set(id, own);
    return `${user.name}:${own}`;
  }
}
