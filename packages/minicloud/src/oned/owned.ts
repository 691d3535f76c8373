import { authorize, authorizeRead, may } from './access.ts';
import { type Core, readTemplate } from './core.ts';
import { errno, notFound, RequestError } from './errors.ts';
import type { Arguments, Methods } from './methods.ts';
import { type Caller, isAdmin, type Owned } from './model.ts';
import { checkName, checkNameIsFree } from './names.ts';
import type { Table } from './store.ts';
import { merge, type Template } from './template/attributes.ts';

/** What a kind of owned objects says of itself; the methods that all kinds share follow from it. */
export interface OwnedKind<T extends Owned> {
  /** The methods' prefix: `one.template`. */
  prefix: string;
  /** oned's name of the kind in refusals: `TEMPLATE`. */
  label: string;
  /** oned's words for the kind where an id is unknown: `virtual machine template`. */
  title: string;
  /** The element around a pool: `VMTEMPLATE_POOL`. */
  poolElement: string;
  table: Table<T>;
  /** Whether an owner's objects must differ in name. */
  uniqueNames: boolean;
  render(object: T): string;
  /** In a pool, where it differs. */
  renderInPool?(object: T): string;
  /** Turns an update's text into the new object, where it is more than merging the template. */
  update?(object: T, template: Template, append: boolean): T;
  /** Throws when the object is in use, else does what must be done before it goes. */
  beforeDelete?(caller: Caller, object: T): void;
}

/** The object of that id, or the refusal. */
export function need<T extends Owned>(kind: Pick<OwnedKind<T>, 'table' | 'title'>, id: number): T {
  const object = kind.table.get(id);
  if (!object) throw notFound(kind.title, id);
  return object;
}

/** Whether a pool's filter flag takes the object: -4 own and group's primary, -3 own, -2 all, -1 own and group's, else a user's. */
function filterTakes(caller: Caller, flag: number, object: Owned): boolean {
  if (flag === -3) return object.uid === caller.id;
  if (flag === -1) return object.uid === caller.id || caller.groups.includes(object.gid);
  if (flag === -4) return object.gid === caller.gid;
  return flag < 0 || object.uid === flag;
}

/**
 * The objects of a pool request, newest first. `start` and `end` are a range of ids; a negative `end` below -1 is
 * a page size and `start` the number of objects to pass over.
 */
export function selectPool<T extends Owned>(
  caller: Caller,
  label: string,
  objects: readonly T[],
  range: { flag: number; start: number; end: number },
): T[] {
  const visible = objects
    .filter(object => filterTakes(caller, range.flag, object))
    .filter(object => may(caller, { operation: 'USE', kind: label, object }))
    .reverse();
  if (range.end < -1) return visible.slice(Math.max(0, range.start), Math.max(0, range.start) - range.end);
  return visible.filter(
    object => (range.start < 0 || object.id >= range.start) && (range.end < 0 || object.id <= range.end),
  );
}

/** The change that one.X.chmod asks for: nine values, -1 leaves a digit as it is. */
export function changedPermissions(old: string, args: Arguments, from: number): string {
  return [...old]
    .map((digit, index) => {
      const wanted = args.int(from + index, -1);
      return wanted < 0 ? digit : wanted > 0 ? '1' : '0';
    })
    .join('');
}

const nine = Array.from({ length: 9 }, () => 'int' as const);

type Operation = 'USE' | 'MANAGE' | 'ADMIN';

/** one.X.info, update, rename, delete of a kind. */
function contentMethods<T extends Owned>(kind: OwnedKind<T>): Methods {
  const { prefix, label, table } = kind;
  const wish = (operation: Operation, object: T) => ({ operation, kind: label, object });
  function put(object: T, change: Partial<Owned>): number {
    table.put({ ...object, ...change });
    return object.id;
  }
  return {
    [`${prefix}.info`]: {
      args: ['int', 'boolean'],
      required: 1,
      help: `Returns information about the object of kind ${label}`,
      run(caller, args) {
        const object = need(kind, args.int(0));
        authorizeRead(caller, wish('USE', object));
        return kind.render(object);
      },
    },
    [`${prefix}.update`]: {
      args: ['int', 'string', 'int'],
      required: 2,
      help: 'Replaces the template, or merges into it when the last argument is 1',
      run(caller, args) {
        const object = need(kind, args.int(0));
        authorize(caller, wish('MANAGE', object));
        const template = readTemplate(args.string(1), errno.action);
        const append = args.int(2) === 1;
        if (kind.update) {
          table.put(kind.update(object, template, append));
          return object.id;
        }
        return put(object, { template: append ? merge(object.template, template) : template });
      },
    },
    [`${prefix}.rename`]: {
      args: ['int', 'string'],
      help: 'Changes the name',
      run(caller, args) {
        const object = need(kind, args.int(0));
        authorize(caller, wish('MANAGE', object));
        const name = args.string(1);
        checkName(name, errno.action);
        if (kind.uniqueNames) {
          checkNameIsFree(table, { id: object.id, uid: object.uid, name }, label, errno.action);
        }
        return put(object, { name });
      },
    },
    [`${prefix}.delete`]: {
      args: ['int', 'boolean'],
      required: 1,
      help: 'Deletes the object',
      run(caller, args) {
        const object = need(kind, args.int(0));
        authorize(caller, wish('MANAGE', object));
        kind.beforeDelete?.(caller, object);
        table.remove(object.id);
        return object.id;
      },
    },
  };
}

/** one.X.chmod, chown, lock, unlock of a kind. */
function accessMethods<T extends Owned>(core: Core, kind: OwnedKind<T>): Methods {
  const { prefix, label, table } = kind;
  const wish = (operation: Operation, object: T) => ({ operation, kind: label, object });
  return {
    [`${prefix}.chmod`]: {
      args: ['int', ...nine, 'boolean'],
      required: 10,
      help: 'Changes the permissions',
      run(caller, args) {
        const object = need(kind, args.int(0));
        authorize(caller, wish('MANAGE', object));
        table.put({ ...object, permissions: changedPermissions(object.permissions, args, 1) });
        return object.id;
      },
    },
    [`${prefix}.chown`]: {
      args: ['int', 'int', 'int'],
      help: 'Changes owner and group; -1 leaves one as it is',
      run: (caller, args) => chown(core, kind, caller, args),
    },
    [`${prefix}.lock`]: {
      args: ['int', 'int', 'boolean'],
      required: 2,
      help: 'Locks the object at a level; with the last argument, only if it is free',
      run: (caller, args) => lock(core, kind, caller, args),
    },
    [`${prefix}.unlock`]: {
      args: ['int'],
      help: 'Takes the lock away',
      run(caller, args) {
        const object = need(kind, args.int(0));
        authorizeRead(caller, wish('MANAGE', object));
        if (object.lock && object.lock.owner !== caller.id && !isAdmin(caller)) {
          throw new RequestError(errno.action, 'Error trying to unlock the resource.');
        }
        const { lock: _lock, ...open } = object;
        table.put(open as T);
        return object.id;
      },
    },
  };
}

/** The methods that all kinds of owned objects share. */
export function ownedMethods<T extends Owned>(core: Core, kind: OwnedKind<T>): Methods {
  return { ...contentMethods(kind), ...accessMethods(core, kind) };
}

function chown<T extends Owned>(core: Core, kind: OwnedKind<T>, caller: Caller, args: Arguments): number {
  const object = need(kind, args.int(0));
  const uid = args.int(1) < 0 ? object.uid : args.int(1);
  const gid = args.int(2) < 0 ? object.gid : args.int(2);
  if (!core.accounts.users.get(uid)) throw notFound('user', uid);
  if (!core.accounts.groups.get(gid)) throw notFound('group', gid);
  authorize(caller, { operation: uid === object.uid ? 'MANAGE' : 'ADMIN', kind: kind.label, object });
  if (kind.uniqueNames) {
    checkNameIsFree(kind.table, { id: object.id, uid, name: object.name }, kind.label, errno.internal);
  }
  kind.table.put({ ...object, uid, gid });
  return object.id;
}

function lock<T extends Owned>(core: Core, kind: OwnedKind<T>, caller: Caller, args: Arguments): number {
  const object = need(kind, args.int(0));
  authorizeRead(caller, { operation: 'MANAGE', kind: kind.label, object });
  const level = args.int(1);
  if (level < 1 || level > 4) throw new RequestError(errno.action, 'Wrong lock level specified');
  // A test of a taken lock is answered by the time it was taken.
  if (args.boolean(2) && object.lock) throw new RequestError(errno.action, String(object.lock.time));
  kind.table.put({
    ...object,
    lock: { level, owner: caller.id, time: core.seconds(), requestId: core.requestId() },
  });
  return object.id;
}

/** one.Xpool.info of a kind: filter flag, start, end. */
export function poolMethod<T extends Owned>(kind: OwnedKind<T>): Methods {
  return {
    [`${kind.prefix}pool.info`]: {
      args: ['int', 'int', 'int'],
      help: `Returns the objects of kind ${kind.label}`,
      run(caller, args) {
        const range = { flag: args.int(0), start: args.int(1), end: args.int(2) };
        const render = kind.renderInPool ?? kind.render;
        const objects = selectPool(caller, kind.label, kind.table.list(), range);
        return `<${kind.poolElement}>${objects.map(render).join('')}</${kind.poolElement}>`;
      },
    },
  };
}
