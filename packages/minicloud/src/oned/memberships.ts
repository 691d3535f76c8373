import { authorize } from './access.ts';
import { passwordHash } from './accounts.ts';
import type { Core } from './core.ts';
import { errno, notFound, RequestError } from './errors.ts';
import type { Arguments, Methods } from './methods.ts';
import type { Caller, User } from './model.ts';

function needUser(core: Core, id: number): User {
  const user = core.accounts.users.get(id);
  if (!user) throw notFound('user', id);
  return user;
}

function needGroup(core: Core, id: number): number {
  if (!core.accounts.groups.get(id)) throw notFound('group', id);
  return id;
}

/** A change of a user that only administrators make. */
function change(core: Core, caller: Caller, args: Arguments, make: (user: User) => Partial<User>): number {
  const user = needUser(core, args.int(0));
  authorize(caller, { operation: 'ADMIN', kind: 'USER', id: user.id });
  core.accounts.users.put({ ...user, ...make(user) });
  return user.id;
}

function setPassword(core: Core, caller: Caller, args: Arguments): number {
  const user = needUser(core, args.int(0));
  const object = { id: user.id, uid: user.id, gid: user.gid, permissions: '110000000' };
  authorize(caller, { operation: 'MANAGE', kind: 'USER', object });
  if (args.string(1) === '') throw new RequestError(errno.internal, 'Invalid password, it cannot be empty');
  core.accounts.users.put({ ...user, password: passwordHash(args.string(1)), tokens: [] });
  return user.id;
}

/** Passwords, groups and the switch of users. */
export function membershipMethods(core: Core): Methods {
  return {
    'one.user.passwd': {
      args: ['int', 'string'],
      help: 'Sets the password of a user; its login tokens end',
      run: (caller, args) => setPassword(core, caller, args),
    },
    'one.user.chgrp': {
      args: ['int', 'int'],
      help: 'Sets the primary group of a user',
      run: (caller, args) =>
        change(core, caller, args, user => {
          const gid = needGroup(core, args.int(1));
          return { gid, groups: [...new Set([...user.groups.filter(group => group !== user.gid), gid])] };
        }),
    },
    'one.user.addgroup': {
      args: ['int', 'int'],
      help: 'Adds a user to a group',
      run: (caller, args) =>
        change(core, caller, args, user => ({
          groups: [...new Set([...user.groups, needGroup(core, args.int(1))])].sort((a, b) => a - b),
        })),
    },
    'one.user.delgroup': {
      args: ['int', 'int'],
      help: 'Takes a user out of a group that is not its primary one',
      run: (caller, args) =>
        change(core, caller, args, user => {
          if (user.gid === args.int(1)) {
            throw new RequestError(errno.internal, 'Cannot remove User from the primary Group.');
          }
          return { groups: user.groups.filter(group => group !== args.int(1)) };
        }),
    },
    'one.user.enable': {
      args: ['int', 'boolean'],
      help: 'Lets a user log in, or not',
      run: (caller, args) => change(core, caller, args, () => ({ enabled: args.boolean(1) })),
    },
  };
}
