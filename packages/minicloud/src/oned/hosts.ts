import { authorize, authorizeRead } from './access.ts';
import { type Core, readTemplate } from './core.ts';
import { errno, notFound, RequestError } from './errors.ts';
import { type Host, hostState } from './infrastructure.ts';
import type { Arguments, Methods } from './methods.ts';
import type { Caller } from './model.ts';
import { checkName } from './names.ts';
import { element, idList } from './render.ts';
import { cdata, merge, renderTemplate, type Template, withAttribute } from './template/attributes.ts';
import { cpuPercent, memoryKb } from './vm/resources.ts';

/** What the VMs on a host take: CPU in per cent, memory in KiB. */
export function usageOf(core: Core, hostId: number): { cpu: number; memory: number; vms: number[] } {
  const vms = [...core.vms.lookup('host', hostId)].sort((a, b) => a - b);
  let cpu = 0;
  let memory = 0;
  for (const id of vms) {
    const vm = core.vms.get(id);
    if (!vm) continue;
    cpu += cpuPercent(vm);
    memory += memoryKb(vm);
  }
  return { cpu, memory, vms };
}

function renderShare(core: Core, host: Host): string {
  const usage = usageOf(core, host.id);
  const seen = host.monitored > 0;
  const { capacity } = core;
  const total = { cpu: seen ? capacity.cpu : 0, memory: seen ? capacity.memory : 0, disk: seen ? capacity.disk : 0 };
  const disks: Template = [
    { name: 'DISK_USAGE', value: '0' },
    { name: 'FREE_DISK', value: String(total.disk) },
    { name: 'MAX_DISK', value: String(total.disk) },
    { name: 'USED_DISK', value: '0' },
  ];
  return [
    '<HOST_SHARE>',
    element('MEM_USAGE', usage.memory),
    element('CPU_USAGE', usage.cpu),
    element('TOTAL_MEM', total.memory),
    element('TOTAL_CPU', total.cpu),
    element('MAX_MEM', total.memory),
    element('MAX_CPU', total.cpu),
    element('RUNNING_VMS', usage.vms.length),
    element('VMS_THREAD', 1),
    renderTemplate(disks, 'DATASTORES'),
    '<PCI_DEVICES></PCI_DEVICES><NUMA_NODES></NUMA_NODES></HOST_SHARE>',
    idList('VMS', usage.vms),
  ].join('');
}

/** The host's last measurement: what its VMs leave free. */
function renderMonitoring(core: Core, host: Host): string {
  const usage = usageOf(core, host.id);
  const capacity: Template = [
    { name: 'FREE_CPU', value: String(Math.max(0, core.capacity.cpu - usage.cpu)) },
    { name: 'FREE_MEMORY', value: String(Math.max(0, core.capacity.memory - usage.memory)) },
    { name: 'USED_CPU', value: String(usage.cpu) },
    { name: 'USED_MEMORY', value: String(usage.memory) },
  ];
  const system: Template = [
    { name: 'NETRX', value: '0' },
    { name: 'NETTX', value: '0' },
  ];
  return `<MONITORING>${element('TIMESTAMP', host.monitored)}${element('ID', host.id)}${renderTemplate(capacity, 'CAPACITY')}${renderTemplate(system, 'SYSTEM')}</MONITORING>`;
}

function renderHost(core: Core, host: Host, inPool: boolean): string {
  return [
    '<HOST>',
    element('ID', host.id),
    element('NAME', host.name),
    element('STATE', host.state),
    element('PREV_STATE', host.state),
    `<IM_MAD>${cdata(host.imMad)}</IM_MAD><VM_MAD>${cdata(host.vmMad)}</VM_MAD>`,
    element('CLUSTER_ID', 0),
    element('CLUSTER', 'default'),
    renderShare(core, host),
    renderTemplate(host.template),
    inPool || host.monitored === 0 ? '<MONITORING/>' : renderMonitoring(core, host),
    '</HOST>',
  ].join('');
}

/** The host has answered for the first time: it is there and says what it is. */
export function measureHost(core: Core, id: number): void {
  const host = core.hosts.get(id);
  if (!host) return;
  const facts: [string, string][] = [
    ['ARCH', process.arch === 'arm64' ? 'aarch64' : 'x86_64'],
    ['CPUSPEED', '3200'],
    ['HOSTNAME', host.name],
    ['HYPERVISOR', host.vmMad],
    ['MODELNAME', `Embedded cloud (${host.vmMad})`],
    ['TOTALCPU', String(core.capacity.cpu)],
    ['TOTALMEMORY', String(core.capacity.memory)],
  ];
  const template = facts.reduce((all, [name, value]) => withAttribute(all, name, value), host.template);
  const state = host.state === hostState.init ? hostState.monitored : host.state;
  core.hosts.put({ ...host, state, monitored: core.seconds(), template });
}

function allocate(core: Core, caller: Caller, args: Arguments): number {
  authorize(
    caller,
    { operation: 'CREATE', kind: 'HOST' },
    { operation: 'ADMIN', kind: 'CLUSTER', id: Math.max(0, args.int(3)) },
  );
  const name = args.string(0);
  checkName(name);
  const taken = core.hosts.list().find(host => host.name === name);
  if (taken) {
    const why = `NAME is already taken by HOST ${taken.id}.`;
    throw new RequestError(errno.allocate, `Error allocating a new host. ${why}`);
  }
  const id = core.store.takeId('host');
  core.hosts.put({
    id,
    name,
    state: hostState.init,
    imMad: args.string(1),
    vmMad: args.string(2),
    monitored: 0,
    template: [
      { name: 'IM_MAD', value: args.string(1) },
      { name: 'RESERVED_CPU', value: '' },
      { name: 'RESERVED_MEM', value: '' },
      { name: 'VM_MAD', value: args.string(2) },
    ],
  });
  core.later(() => measureHost(core, id));
  return id;
}

/** oned's numbers in one.host.status: 0 enable, 1 disable, 2 offline. */
function setStatus(core: Core, caller: Caller, args: Arguments): number {
  const host = needHost(core, args.int(0));
  authorize(caller, { operation: 'ADMIN', kind: 'HOST', id: host.id });
  const wanted = args.int(1);
  if (wanted < 0 || wanted > 2) throw new RequestError(errno.internal, `Wrong status code [${wanted}]`);
  const enabled = host.monitored > 0 ? hostState.monitored : hostState.init;
  const state = wanted === 0 ? enabled : wanted === 1 ? hostState.disabled : 8;
  core.hosts.put({ ...host, state });
  core.reschedule();
  return host.id;
}

function needHost(core: Core, id: number): Host {
  const host = core.hosts.get(id);
  if (!host) throw notFound('host', id);
  return host;
}

/** Hosts. */
export function hostMethods(core: Core): Methods {
  const read = (caller: Caller, id?: number): void =>
    authorizeRead(caller, { operation: 'USE', kind: 'HOST', ...(id !== undefined && { id }) });
  return {
    'one.host.info': {
      args: ['int', 'boolean'],
      required: 1,
      help: 'Returns a host',
      run(caller, args) {
        const host = needHost(core, args.int(0));
        read(caller, host.id);
        return renderHost(core, host, false);
      },
    },
    'one.hostpool.info': {
      args: [],
      help: 'Returns all hosts',
      run(caller) {
        const hosts = caller.groups.includes(0) ? core.hosts.list().reverse() : [];
        return `<HOST_POOL>${hosts.map(host => renderHost(core, host, true)).join('')}</HOST_POOL>`;
      },
    },
    'one.hostpool.monitoring': {
      args: ['int'],
      required: 0,
      help: 'Returns the last measurement of every host',
      run(caller) {
        read(caller);
        const measured = core.hosts.list().filter(host => host.monitored > 0);
        return `<MONITORING_DATA>${measured.map(host => renderMonitoring(core, host)).join('')}</MONITORING_DATA>`;
      },
    },
    'one.host.allocate': {
      args: ['string', 'string', 'string', 'int'],
      required: 3,
      help: 'Makes a host: name, information and VM drivers, cluster',
      run: (caller, args) => allocate(core, caller, args),
    },
    'one.host.status': {
      args: ['int', 'int'],
      help: 'Enables (0) or disables (1) a host',
      run: (caller, args) => setStatus(core, caller, args),
    },
    'one.host.update': {
      args: ['int', 'string', 'int'],
      required: 2,
      help: 'Replaces or merges into the template of a host',
      run(caller, args) {
        const host = needHost(core, args.int(0));
        authorize(caller, { operation: 'MANAGE', kind: 'HOST', id: host.id });
        const template = readTemplate(args.string(1), errno.action);
        core.hosts.put({ ...host, template: args.int(2) === 1 ? merge(host.template, template) : template });
        return host.id;
      },
    },
    'one.host.delete': {
      args: ['int'],
      help: 'Deletes a host without VMs',
      run(caller, args) {
        const host = needHost(core, args.int(0));
        authorize(caller, { operation: 'ADMIN', kind: 'HOST', id: host.id });
        if (core.vms.lookup('host', host.id).size > 0) {
          throw new RequestError(errno.action, 'Cannot delete host. Can not remove a host with running VMs');
        }
        core.hosts.remove(host.id);
        return host.id;
      },
    },
  };
}
