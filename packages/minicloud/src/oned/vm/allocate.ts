import { randomUUID } from 'node:crypto';
import { authorizeRead } from '../access.ts';
import { type Core, readTemplate } from '../core.ts';
import { ownerOnly } from '../documents.ts';
import { errno, RequestError } from '../errors.ts';
import { defaultRules } from '../fixed.ts';
import { findImage } from '../images.ts';
import type { Caller, VmTemplate } from '../model.ts';
import { checkName } from '../names.ts';
import { authorizeNetwork, findNetwork } from '../networks.ts';
import {
  merge,
  type Pairs,
  single,
  type Template,
  vector,
  vectors,
  withAttribute,
  without,
  withVectors,
} from '../template/attributes.ts';
import { buildContext, wantsToken } from './context.ts';
import { describeDisk, makeDisks, makeNic } from './devices.ts';
import { checkQuota } from './quota.ts';
import { checkRestricted } from './restricted.ts';
import { lcm, state } from './states.ts';

/** Attributes that oned knows: they make up TEMPLATE, all others go into USER_TEMPLATE. */
const known = new Set([
  'BACKUP_CONFIG',
  'CONTEXT',
  'CPU',
  'CPU_COST',
  'CPU_MODEL',
  'CREATED_BY',
  'DISK',
  'DISK_COST',
  'EMULATOR',
  'FEATURES',
  'GRAPHICS',
  'INPUT',
  'MEMORY',
  'MEMORY_COST',
  'MEMORY_MAX',
  'MEMORY_SLOTS',
  'NIC',
  'NIC_ALIAS',
  'NIC_DEFAULT',
  'NUMA_NODE',
  'OS',
  'PCI',
  'RAW',
  'SUBMIT_ON_HOLD',
  'TEMPLATE_ID',
  'TOPOLOGY',
  'TPM',
  'VCPU',
  'VCPU_MAX',
  'VIDEO',
  'VMGROUP',
]);

function checkNumbers(template: Template): void {
  const memory = Number(single(template, 'MEMORY'));
  if (!Number.isInteger(memory) || memory <= 0) {
    throw new RequestError(errno.internal, 'MEMORY attribute must be a positive integer value.');
  }
  const cpu = Number(single(template, 'CPU'));
  if (!Number.isFinite(cpu) || cpu <= 0) {
    throw new RequestError(errno.internal, 'CPU attribute must be a positive float or integer value.');
  }
  const vcpu = single(template, 'VCPU');
  if (vcpu !== undefined && !(Number.isInteger(Number(vcpu)) && Number(vcpu) > 0)) {
    throw new RequestError(errno.internal, 'VCPU attribute must be a positive integer value.');
  }
}

/** Whether the caller may use all images and networks that the template names. What does not exist is refused later. */
function authorizeDevices(core: Core, caller: Caller, template: Template): void {
  const known = <T>(find: () => T): T | undefined => {
    try {
      return find();
    } catch (error) {
      if (error instanceof RequestError) return undefined;
      throw error;
    }
  };
  vectors(template, 'DISK').forEach((disk, id) => {
    const image = known(() => findImage(core, caller, disk, id));
    if (image) authorizeRead(caller, { operation: 'USE', kind: 'IMAGE', object: image });
  });
  for (const nic of vectors(template, 'NIC')) {
    const network = known(() => findNetwork(core, caller, nic));
    if (network) authorizeNetwork(caller, network);
  }
}

function requirements(hasDevices: boolean): Template {
  const pinned = '!(PIN_POLICY = PINNED)';
  if (!hasDevices) return [{ name: 'AUTOMATIC_REQUIREMENTS', value: pinned }];
  return [
    { name: 'AUTOMATIC_DS_REQUIREMENTS', value: '("CLUSTERS/ID" @> 0)' },
    { name: 'AUTOMATIC_NIC_REQUIREMENTS', value: '("CLUSTERS/ID" @> 0)' },
    { name: 'AUTOMATIC_REQUIREMENTS', value: `(CLUSTER_ID = 0) & ${pinned}` },
  ];
}

const securityRules: Template = defaultRules.map(rule => ({
  name: 'SECURITY_GROUP_RULE',
  value: { ...rule, SECURITY_GROUP_ID: '0', SECURITY_GROUP_NAME: 'default' },
}));

function withContext(core: Core, caller: Caller, asked: Template, made: Template, vmId: number): Template {
  const context = vector(asked, 'CONTEXT');
  if (!context) return made;
  const built = buildContext(
    core,
    {
      vmId,
      creator: core.accounts.users.get(caller.id),
      attributes: asked,
      nics: vectors(made, 'NIC'),
      disks: vectors(made, 'DISK').length,
      gateEndpoint: core.gateEndpoint,
    },
    context,
  );
  const whole = withAttribute(made, 'CONTEXT', built);
  return wantsToken(built) ? withAttribute(whole, 'CREATED_BY', String(caller.id)) : whole;
}

interface Wish {
  name: string;
  hold: boolean;
  /** The name when none is given, from the VM's id. */
  defaultName: (id: number) => string;
}

/** Makes a VM of a template whose caller may use it. Everything is refused before anything is taken. */
export function allocateVm(core: Core, caller: Caller, asked: Template, wish: Wish): number {
  authorizeDevices(core, caller, asked);
  checkQuota(core, caller, asked);
  checkNumbers(asked);
  if (wish.name !== '') checkName(wish.name);
  // The id is taken last: a VM that is refused uses none up.
  const id = core.store.nextId('vm');
  const disks = makeDisks(core, caller, vectors(asked, 'DISK'));
  const nics = vectors(asked, 'NIC').map((nic, nicId) => makeNic(core, caller, nic, id, nicId));
  let made: Template = asked.filter(attribute => known.has(attribute.name) && attribute.name !== 'CONTEXT');
  made = withVectors(withVectors(made, 'DISK', disks), 'NIC', nics);
  made = withAttribute(made, 'OS', { ...vector(asked, 'OS'), UUID: randomUUID() });
  made = [...made, ...requirements(disks.length + nics.length > 0), { name: 'VMID', value: String(id) }];
  if (nics.length > 0) made = [...made, ...securityRules];
  if (wish.hold) made = withAttribute(made, 'SUBMIT_ON_HOLD', 'YES');
  core.vms.put({
    id: core.store.takeId('vm'),
    uid: caller.id,
    gid: caller.gid,
    name: wish.name === '' ? wish.defaultName(id) : wish.name,
    permissions: ownerOnly,
    state: wish.hold ? state.hold : state.pending,
    lcm: lcm.none,
    resched: 0,
    stime: core.seconds(),
    etime: 0,
    deployId: '',
    history: [],
    template: withContext(core, caller, asked, made, id),
    userTemplate: asked.filter(attribute => !known.has(attribute.name) && attribute.name !== 'NAME'),
  });
  return id;
}

/** one.template.instantiate. */
export function instantiateVm(
  core: Core,
  caller: Caller,
  source: VmTemplate,
  wish: { name: string; hold: boolean; extra: string },
): number {
  const extra = readTemplate(wish.extra);
  checkRestricted(caller, extra);
  const asked = withAttribute(merge(source.template, without(extra, 'NAME')), 'TEMPLATE_ID', String(source.id));
  return allocateVm(core, caller, without(asked, 'NAME'), {
    name: wish.name === '' ? (single(extra, 'NAME') ?? '') : wish.name,
    hold: wish.hold,
    defaultName: id => `${source.name}-${id}`,
  });
}

/** A template with what its disks and networks would become, for `one.template.info` with `extended`. */
export function extendTemplate(core: Core, caller: Caller, template: Template): Template {
  const disks = vectors(template, 'DISK').map((disk, id) => describeDisk(core, caller, disk, id));
  const nics = vectors(template, 'NIC').map((nic): Pairs => {
    const network = findNetwork(core, caller, nic);
    return { ...nic, NETWORK: network.name, NETWORK_ID: String(network.id) };
  });
  return withVectors(withVectors(template, 'DISK', disks), 'NIC', nics);
}
