import { authorize, authorizeRead } from './access.ts';
import { type Core, readTemplate } from './core.ts';
import { errno, notFound, RequestError } from './errors.ts';
import type { Methods } from './methods.ts';
import type { Caller, Group } from './model.ts';
import { checkAccountName } from './names.ts';
import { element, idList } from './render.ts';
import { cdata, merge, renderTemplate } from './template/attributes.ts';
import { noQuotas } from './users.ts';

function renderGroup(core: Core, group: Group): string {
  const members = core.accounts.users.list().filter(user => user.groups.includes(group.id));
  return [
    element('ID', group.id),
    element('NAME', group.name),
    renderTemplate(group.template),
    idList(
      'USERS',
      members.map(user => user.id),
    ),
    '<ADMINS></ADMINS>',
  ].join('');
}

const vlanRules = (id: number): string => `<VLAN_RULES><ID>${cdata(String(id))}</ID></VLAN_RULES>`;

function needGroup(core: Core, id: number): Group {
  const group = core.accounts.groups.get(id);
  if (!group) throw notFound('group', id);
  return group;
}

function authorizeGroup(caller: Caller, group: Group, operation: 'USE' | 'MANAGE'): void {
  if (operation === 'USE' && caller.groups.includes(group.id)) return;
  authorizeRead(caller, { operation, kind: 'GROUP', id: group.id });
}

/** Groups. */
export function groupMethods(core: Core): Methods {
  const { groups } = core.accounts;
  return {
    'one.group.info': {
      args: ['int', 'boolean'],
      required: 1,
      help: 'Returns a group, -1 for the primary one of the caller',
      run(caller, args) {
        const group = needGroup(core, args.int(0) < 0 ? caller.gid : args.int(0));
        authorizeGroup(caller, group, 'USE');
        return `<GROUP>${renderGroup(core, group)}${noQuotas}${vlanRules(group.id)}<DEFAULT_GROUP_QUOTAS>${noQuotas}</DEFAULT_GROUP_QUOTAS></GROUP>`;
      },
    },
    'one.grouppool.info': {
      args: [],
      help: 'Returns all groups',
      run(caller) {
        const visible = groups.list().filter(group => caller.groups.some(id => id === 0 || id === group.id));
        const rendered = visible
          .reverse()
          .map(
            group =>
              `<GROUP>${renderGroup(core, group)}</GROUP><QUOTAS>${element('ID', group.id)}${noQuotas}</QUOTAS>${vlanRules(group.id)}`,
          );
        return `<GROUP_POOL>${rendered.join('')}<DEFAULT_GROUP_QUOTAS>${noQuotas}</DEFAULT_GROUP_QUOTAS></GROUP_POOL>`;
      },
    },
    'one.group.allocate': {
      args: ['string'],
      help: 'Makes a group',
      run(caller, args) {
        authorize(caller, { operation: 'CREATE', kind: 'GROUP' });
        const name = args.string(0);
        checkAccountName(name);
        const taken = groups.list().find(group => group.name === name);
        if (taken) throw new RequestError(errno.internal, `NAME is already taken by GROUP ${taken.id}.`);
        const id = core.store.takeId('group');
        groups.put({ id, name, template: [] });
        return id;
      },
    },
    'one.group.update': {
      args: ['int', 'string', 'int'],
      required: 2,
      help: 'Replaces or merges into the template of a group',
      run(caller, args) {
        const group = needGroup(core, args.int(0));
        authorizeGroup(caller, group, 'MANAGE');
        const template = readTemplate(args.string(1), errno.action);
        groups.put({ ...group, template: args.int(2) === 1 ? merge(group.template, template) : template });
        return group.id;
      },
    },
  };
}
