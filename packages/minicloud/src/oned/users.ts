import { authorize } from './access.ts';
import { randomToken } from './accounts.ts';
import { type Core, readTemplate } from './core.ts';
import { errno, notFound, RequestError } from './errors.ts';
import type { Arguments, Methods } from './methods.ts';
import type { Caller, User } from './model.ts';
import { checkAccountName } from './names.ts';
import { userQuotas } from './quotas.ts';
import { element, idList } from './render.ts';
import { cdata, merge, renderTemplate } from './template/attributes.ts';

const quotaNames = ['DATASTORE_QUOTA', 'NETWORK_QUOTA', 'VM_QUOTA', 'IMAGE_QUOTA'];

/** The four quota sections, empty: no limit is set anywhere. */
export const noQuotas = quotaNames.map(name => `<${name}></${name}>`).join('');

function renderUser(core: Core, user: User): string {
  const tokens = user.tokens.map(
    token =>
      `<LOGIN_TOKEN>${element('TOKEN', token.token)}${element('EXPIRATION_TIME', token.expires)}${element('EGID', token.egid)}</LOGIN_TOKEN>`,
  );
  return [
    element('ID', user.id),
    element('GID', user.gid),
    idList('GROUPS', user.groups),
    element('GNAME', core.accounts.groupName(user.gid)),
    element('NAME', user.name),
    `<PASSWORD>${cdata(user.password)}</PASSWORD>`,
    `<AUTH_DRIVER>${cdata(user.driver)}</AUTH_DRIVER>`,
    element('ENABLED', user.enabled ? 1 : 0),
    ...tokens,
    renderTemplate(user.template),
  ].join('');
}

function needUser(core: Core, id: number): User {
  const user = core.accounts.users.get(id);
  if (!user) throw notFound('user', id);
  return user;
}

/** A user as the access rules see it: nobody owns it but itself, and it may use itself. */
function asObject(user: User): { id: number; uid: number; gid: number; permissions: string } {
  return { id: user.id, uid: user.id, gid: user.gid, permissions: '110000000' };
}

function allocate(core: Core, caller: Caller, args: Arguments): number {
  authorize(caller, { operation: 'CREATE', kind: 'USER' });
  const name = args.string(0);
  checkAccountName(name);
  const taken = core.accounts.byName(name);
  if (taken) throw new RequestError(errno.internal, `NAME is already taken by USER ${taken.id}.`);
  if (args.string(1) === '') throw new RequestError(errno.internal, 'Invalid password, it cannot be empty');
  const driver = args.string(2) === '' ? 'core' : args.string(2);
  return core.accounts.add({ name, password: args.string(1), driver, gid: 1 }).id;
}

/** Makes, renews or (0 seconds) takes away a login token. */
function login(core: Core, caller: Caller, args: Arguments): string {
  const user = core.accounts.byName(args.string(0));
  if (!user) throw new RequestError(errno.noExists, `Error getting user [${args.string(0)}].`);
  authorize(caller, { operation: 'MANAGE', kind: 'USER', object: asObject(user) });
  const given = args.string(1);
  const valid = args.int(2);
  if (valid === 0) {
    const kept = given === '' ? [] : user.tokens.filter(token => token.token !== given);
    core.accounts.users.put({ ...user, tokens: kept });
    return given;
  }
  const token = given === '' ? randomToken() : given;
  const expires = valid < 0 ? -1 : core.seconds() + valid;
  const others = user.tokens.filter(other => other.token !== token);
  core.accounts.users.put({ ...user, tokens: [...others, { token, expires, egid: args.int(3, -1) }] });
  return token;
}

/** Users. -1 is the caller in `info` and in nothing else. */
export function userMethods(core: Core): Methods {
  const { users } = core.accounts;
  return {
    'one.user.info': {
      args: ['int', 'boolean'],
      required: 1,
      help: 'Returns information about a user, -1 for the caller',
      run(caller, args) {
        const user = needUser(core, args.int(0) < 0 ? caller.id : args.int(0));
        authorize(caller, { operation: 'USE', kind: 'USER', object: asObject(user) });
        return `<USER>${renderUser(core, user)}${userQuotas(core, user)}<DEFAULT_USER_QUOTAS>${noQuotas}</DEFAULT_USER_QUOTAS></USER>`;
      },
    },
    'one.userpool.info': {
      args: [],
      help: 'Returns all users',
      run(caller) {
        authorize(caller, { operation: 'USE', kind: 'USER' });
        const all = users.list().reverse();
        const rendered = all.map(
          user =>
            `<USER>${renderUser(core, user)}</USER><QUOTAS>${element('ID', user.id)}${userQuotas(core, user)}</QUOTAS>`,
        );
        return `<USER_POOL>${rendered.join('')}<DEFAULT_USER_QUOTAS>${noQuotas}</DEFAULT_USER_QUOTAS></USER_POOL>`;
      },
    },
    'one.user.allocate': {
      args: ['string', 'string', 'string'],
      help: 'Makes a user: name, password, authentication driver',
      run: (caller, args) => allocate(core, caller, args),
    },
    'one.user.login': {
      args: ['string', 'string', 'int', 'int'],
      required: 3,
      help: 'Makes or takes away a login token',
      run: (caller, args) => login(core, caller, args),
    },
    'one.user.update': {
      args: ['int', 'string', 'int'],
      required: 2,
      help: 'Replaces or merges into the template of a user',
      run(caller, args) {
        const id = args.int(0);
        const user = users.get(id);
        if (!user) {
          authorize(caller, { operation: 'MANAGE', kind: 'USER', ...(id >= 0 && { id }) });
          throw notFound('user', id);
        }
        authorize(caller, { operation: 'MANAGE', kind: 'USER', object: asObject(user) });
        const template = readTemplate(args.string(1), errno.action);
        users.put({ ...user, template: args.int(2) === 1 ? merge(user.template, template) : template });
        return id;
      },
    },
    'one.user.delete': {
      args: ['int'],
      help: 'Deletes a user',
      run(caller, args) {
        const user = needUser(core, args.int(0));
        authorize(caller, { operation: 'ADMIN', kind: 'USER', object: asObject(user) });
        if (user.id < 2) throw new RequestError(errno.action, 'oneadmin cannot be deleted.');
        users.remove(user.id);
        return user.id;
      },
    },
  };
}
