import { authorize } from '../access.ts';
import { type Core, readTemplate } from '../core.ts';
import { errno, RequestError } from '../errors.ts';
import type { Arguments, Method, Methods } from '../methods.ts';
import type { Caller } from '../model.ts';
import { need, type OwnedKind, ownedMethods, selectPool } from '../owned.ts';
import { merge, single } from '../template/attributes.ts';
import { type ActionSurroundings, actOnVm } from './actions.ts';
import { allocateVm } from './allocate.ts';
import { attachNic, detachNic, updateConf } from './configure.ts';
import type { Vm } from './model.ts';
import { recoverVm } from './recover.ts';
import { renderShortVm, renderVm } from './render.ts';
import { checkRestricted } from './restricted.ts';
import { deployByHand } from './scheduler.ts';
import { state } from './states.ts';

/** State filter of the pools: -2 all, -1 all but DONE, else that state. */
function candidates(core: Core, wanted: number): Vm[] {
  const live = wanted === state.done ? [] : core.vms.list();
  const done = wanted === -2 || wanted === state.done ? core.vms.archive() : [];
  const all = [...live, ...done].sort((a, b) => a.id - b.id);
  return wanted < 0 ? all : all.filter(vm => vm.state === wanted);
}

function pool(core: Core, caller: Caller, args: Arguments, render: (vm: Vm) => string): string {
  if (args.string(4) !== '') {
    throw new RequestError(errno.internal, 'JSON query search is not supported by the SQL backend');
  }
  const range = { flag: args.int(0), start: args.int(1), end: args.int(2) };
  const vms = selectPool(caller, 'VM', candidates(core, args.int(3, -1)), range);
  return `<VM_POOL>${vms.map(render).join('')}</VM_POOL>`;
}

function poolMethods(core: Core): Methods {
  const extended = (vm: Vm): string => renderVm(core, vm, true);
  const short = (vm: Vm): string => renderShortVm(core, vm);
  const args: Method['args'] = ['int', 'int', 'int', 'int', 'string'];
  return {
    'one.vmpool.info': {
      args,
      required: 3,
      help: 'Returns the VMs, cut down',
      run: (caller, given) => pool(core, caller, given, short),
    },
    'one.vmpool.infoextended': {
      args,
      required: 3,
      help: 'Returns the VMs whole',
      run: (caller, given) => pool(core, caller, given, extended),
    },
    'one.vmpool.infoset': {
      args: ['string', 'boolean'],
      required: 1,
      help: 'Returns the VMs of a comma-separated list of ids',
      run(caller, given) {
        const ids = given.string(0).split(',').map(Number);
        const vms = [...new Set(ids)].sort((a, b) => a - b).flatMap(id => core.vms.get(id) ?? []);
        const visible = selectPool(caller, 'VM', vms, { flag: -2, start: -1, end: -1 });
        return `<VM_POOL>${visible.map(given.boolean(1) ? extended : short).join('')}</VM_POOL>`;
      },
    },
    'one.vmpool.monitoring': {
      args: ['int', 'int'],
      required: 1,
      help: 'Returns measurements of the VMs: this cloud takes none',
      run: () => '<MONITORING_DATA></MONITORING_DATA>',
    },
    'one.vm.monitoring': {
      args: ['int'],
      help: 'Returns measurements of a VM: this cloud takes none',
      run: () => '<MONITORING_DATA></MONITORING_DATA>',
    },
  };
}

function allocate(core: Core, caller: Caller, args: Arguments): number {
  const template = readTemplate(args.string(0));
  checkRestricted(caller, template);
  authorize(caller, { operation: 'CREATE', kind: 'VM' });
  return allocateVm(core, caller, template, {
    name: single(template, 'NAME') ?? '',
    hold: args.boolean(1),
    defaultName: id => `one-${id}`,
  });
}

/** VMs. */
export function vmMethods(core: Core, surroundings: ActionSurroundings): Methods {
  const kind: OwnedKind<Vm> = {
    prefix: 'one.vm',
    label: 'VM',
    title: 'virtual machine',
    poolElement: 'VM_POOL',
    table: core.vms,
    uniqueNames: false,
    render: vm => renderVm(core, vm),
  };
  const { 'one.vm.delete': _delete, ...common } = ownedMethods(core, kind);
  return {
    ...common,
    ...poolMethods(core),
    'one.vm.allocate': {
      args: ['string', 'boolean'],
      required: 1,
      help: 'Makes a VM of a template text',
      run: (caller, args) => allocate(core, caller, args),
    },
    'one.vm.update': {
      args: ['int', 'string', 'int'],
      required: 2,
      help: 'Replaces or merges into the user template of a VM',
      run(caller, args) {
        const vm = need(kind, args.int(0));
        authorize(caller, { operation: 'MANAGE', kind: 'VM', object: vm });
        const template = readTemplate(args.string(1), errno.action);
        const userTemplate = args.int(2) === 1 ? merge(vm.userTemplate, template) : template;
        core.vms.put({ ...vm, userTemplate });
        core.announceUpdate(vm.id, args.string(1));
        return vm.id;
      },
    },
    'one.vm.action': {
      args: ['string', 'int'],
      help: 'Acts on a VM: terminate, poweroff, resume and so on',
      run: (caller, args) => actOnVm(surroundings, caller, args),
    },
    'one.vm.deploy': {
      args: ['int', 'int', 'boolean', 'int', 'string'],
      required: 2,
      help: 'Starts a waiting VM on a host: VM, host, check capacity, datastore, NICs',
      run: (caller, args) => deployByHand(core, caller, args),
    },
    'one.vm.recover': {
      args: ['int', 'int'],
      help: 'Recovers a VM: 0 failure, 1 success, 2 retry, 3 delete, 4 recreate, 5 delete from the database',
      run: (caller, args) => recoverVm(core, caller, args),
    },
    'one.vm.updateconf': {
      args: ['int', 'string', 'int'],
      required: 2,
      help: 'Changes what a VM is made of, CONTEXT above all',
      run: (caller, args) => updateConf(core, caller, need(kind, args.int(0)), args),
    },
    'one.vm.attachnic': {
      args: ['int', 'string'],
      help: 'Adds a NIC',
      run: (caller, args) => attachNic(core, caller, need(kind, args.int(0)), args.string(1)),
    },
    'one.vm.detachnic': {
      args: ['int', 'int'],
      help: 'Takes a NIC away',
      run: (caller, args) => detachNic(core, caller, need(kind, args.int(0)), args.int(1)),
    },
  };
}
