import { authorize } from '../access.ts';
import { type Core, readTemplate } from '../core.ts';
import { errno, RequestError } from '../errors.ts';
import { releaseOfNic } from '../leases.ts';
import type { Arguments } from '../methods.ts';
import type { Caller } from '../model.ts';
import {
  merge,
  type Pairs,
  type Template,
  vector,
  vectors,
  withAttribute,
  withVectors,
} from '../template/attributes.ts';
import { buildContext, nicContext, wantsToken } from './context.ts';
import { makeNic } from './devices.ts';
import { type Vm, withLastRecord, withNextRecord } from './model.ts';
import { checkRestricted } from './restricted.ts';
import { action, lcm, state, stateName } from './states.ts';
import { inLcm } from './transitions.ts';

/** What one.vm.updateconf may change. */
const changeable = ['OS', 'FEATURES', 'INPUT', 'GRAPHICS', 'VIDEO', 'RAW', 'CPU_MODEL', 'BACKUP_CONFIG', 'CONTEXT'];
const still: readonly number[] = [state.pending, state.hold, state.poweroff, state.undeployed];

function contextSource(core: Core, vm: Vm, template: Template) {
  return {
    vmId: vm.id,
    creator: core.accounts.users.get(vm.uid),
    attributes: merge(vm.userTemplate, template),
    nics: vectors(template, 'NIC'),
    disks: vectors(template, 'DISK').length,
    gateEndpoint: core.gateEndpoint,
  };
}

function changedContext(core: Core, vm: Vm, asked: Pairs, append: boolean): Record<string, string> {
  const old = vector(vm.template, 'CONTEXT') ?? {};
  return buildContext(core, contextSource(core, vm, vm.template), append ? { ...old, ...asked } : asked);
}

/** The VM in the state that puts a new CONTEXT into its guest, if it has one running. */
function recontexted(vm: Vm): Vm {
  return vm.state === state.active && vm.lcm === lcm.running ? inLcm(vm, lcm.hotplug) : vm;
}

function checkState(vm: Vm, what: string): void {
  const running = vm.state === state.active && vm.lcm === lcm.running;
  if (running || still.includes(vm.state) || (vm.state === state.active && vm.lcm === lcm.bootFailure)) return;
  throw new RequestError(errno.action, `${what} is not available for state ${stateName(vm)}`);
}

/** one.vm.updateconf: changes OS, GRAPHICS, CONTEXT and the like; a running guest gets its new CONTEXT at once. */
export function updateConf(core: Core, caller: Caller, vm: Vm, args: Arguments): number {
  authorize(caller, { operation: 'MANAGE', kind: 'VM', object: vm });
  const given = readTemplate(args.string(1), errno.internal);
  checkRestricted(caller, given);
  checkState(vm, 'Update configuration');
  const append = args.int(2) === 1;
  let template = vm.template;
  for (const { name, value } of given) {
    if (!changeable.includes(name) || typeof value === 'string' || name === 'CONTEXT') continue;
    const old = append || name === 'OS' ? vector(template, name) : undefined;
    template = withAttribute(template, name, { ...old, ...value });
  }
  const asked = vector(given, 'CONTEXT');
  if (asked) {
    const context = changedContext(core, vm, asked, append);
    template = withAttribute(template, 'CONTEXT', context);
    if (wantsToken(context)) template = withAttribute(template, 'CREATED_BY', String(vm.uid));
  }
  const changed = { ...vm, template };
  core.vms.put(asked ? recontexted(changed) : changed);
  return vm.id;
}

/** The VM after a NIC came or went: a running one gets it while it runs, which its history notes. */
function hotplugged(core: Core, caller: Caller, vm: Vm, number: number): Vm {
  if (vm.state !== state.active) return vm;
  const now = core.seconds();
  const by = { uid: caller.id, gid: caller.gid, requestId: core.requestId() };
  const noted = withLastRecord(vm, { action: number, runEnd: now, ...by });
  return withNextRecord(inLcm(noted, lcm.hotplugNic), now);
}

/** one.vm.attachnic. */
export function attachNic(core: Core, caller: Caller, vm: Vm, text: string): number {
  authorize(caller, { operation: 'MANAGE', kind: 'VM', object: vm });
  const given = readTemplate(text, errno.internal);
  checkRestricted(caller, given);
  checkState(vm, 'NIC attach');
  const asked = vector(given, 'NIC');
  if (!asked) throw new RequestError(errno.internal, 'Wrong NIC section in template');
  const nics = vectors(vm.template, 'NIC');
  const number = Math.max(-1, ...nics.map(nic => Number(nic.NIC_ID ?? '0'))) + 1;
  const nic = makeNic(core, caller, asked, vm.id, number);
  const template = withNics(core, vm.template, [...nics, nic]);
  core.vms.put(hotplugged(core, caller, { ...vm, template }, action.nicAttach));
  return vm.id;
}

function withNics(core: Core, template: Template, nics: readonly Pairs[]): Template {
  const changed = withVectors(template, 'NIC', nics);
  const context = vector(template, 'CONTEXT');
  if (!/^yes$/i.test(context?.NETWORK ?? '')) return changed;
  const kept = Object.entries(context ?? {}).filter(([name]) => !/^ETH\d+_/.test(name));
  const made = nics.map((nic, number) => nicContext(core, nic, number));
  return withAttribute(changed, 'CONTEXT', Object.assign({}, ...made, Object.fromEntries(kept)));
}

/** one.vm.detachnic. */
export function detachNic(core: Core, caller: Caller, vm: Vm, nicId: number): number {
  authorize(caller, { operation: 'MANAGE', kind: 'VM', object: vm });
  checkState(vm, 'NIC detach');
  const nics = vectors(vm.template, 'NIC');
  const gone = nics.find(nic => nic.NIC_ID === String(nicId));
  if (!gone) throw new RequestError(errno.action, `Could not detach NIC with NIC_ID ${nicId}, it does not exist.`);
  releaseOfNic(core, vm.id, gone);
  const template = withNics(
    core,
    vm.template,
    nics.filter(nic => nic !== gone),
  );
  core.vms.put(hotplugged(core, caller, { ...vm, template }, action.nicDetach));
  return vm.id;
}
