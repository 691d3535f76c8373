import { authorize, authorizeRead } from './access.ts';
import { ipAt, ipToNumber, macAt, macOf } from './addresses.ts';
import { type Core, readTemplate } from './core.ts';
import { ownerOnly } from './documents.ts';
import { errno, RequestError } from './errors.ts';
import { type AddressRange, type Network, networkState } from './infrastructure.ts';
import { leaseBlock, leaseIp, leasesOf } from './leases.ts';
import type { Arguments, Methods } from './methods.ts';
import type { Caller } from './model.ts';
import { checkName, checkNameIsFree } from './names.ts';
import { renderNetwork } from './network-render.ts';
import { need, type OwnedKind, ownedMethods, poolMethod } from './owned.ts';
import { type Pairs, single, type Template, vector, vectors, withAttribute, without } from './template/attributes.ts';

function readRange(pairs: Pairs, id: number): AddressRange {
  const type = pairs.TYPE ?? 'ETHER';
  const size = Number(pairs.SIZE);
  if (!Number.isInteger(size) || size <= 0) throw new RequestError(errno.internal, 'Wrong SIZE in AR');
  if (type === 'ETHER') {
    return { id, type, mac: pairs.MAC ?? `02:00:ee:${String(id % 100).padStart(2, '0')}:00:00`, size, next: 0 };
  }
  const ip = pairs.IP === undefined ? undefined : ipToNumber(pairs.IP);
  if (type !== 'IP4' || ip === undefined || pairs.IP === undefined) {
    throw new RequestError(errno.internal, type === 'IP4' ? 'Wrong or empty IP attribute' : 'Unknown AR type');
  }
  return { id, type, ip: pairs.IP, mac: pairs.MAC ?? macOf(ip), size, next: 0 };
}

/** Networks as a kind of owned objects. */
export function networkKind(core: Core): OwnedKind<Network> {
  return {
    prefix: 'one.vn',
    label: 'NET',
    title: 'virtual network',
    poolElement: 'VNET_POOL',
    table: core.networks,
    uniqueNames: true,
    render: network => renderNetwork(core, network, false),
    renderInPool: network => renderNetwork(core, network, true),
    beforeDelete(_caller, network) {
      if (leasesOf(core, network.id).length > 0) {
        throw new RequestError(
          errno.action,
          'Cannot delete virtual network. Can not remove a virtual network with leases in use',
        );
      }
      for (const id of core.leases.lookup('reservation', network.id)) core.leases.remove(id);
    },
  };
}

/** Makes a network that becomes ready a little later, as one with a driver does. */
export function allocateNetwork(core: Core, caller: Caller, template: Template, templateId?: number): number {
  const name = single(template, 'NAME') ?? '';
  checkName(name);
  checkNameIsFree(core.networks, { uid: caller.id, name }, 'NET');
  const id = core.store.takeId('network');
  if (single(template, 'VN_MAD') === undefined) {
    throw new RequestError(errno.internal, 'No VN_MAD in template for Virtual Network.');
  }
  const defaults: Template = [
    { name: 'BRIDGE', value: `onebr${id}` },
    { name: 'BRIDGE_TYPE', value: 'linux' },
    { name: 'PHYDEV', value: '' },
    { name: 'SECURITY_GROUPS', value: '0' },
  ];
  vectors(template, 'AR').forEach(readRange);
  const given = without(template, 'NAME');
  core.networks.put({
    id,
    uid: caller.id,
    gid: caller.gid,
    name,
    permissions: ownerOnly,
    state: networkState.locked,
    ranges: [],
    template: [...defaults.filter(({ name: key }) => single(given, key) === undefined), ...given],
    ...(templateId !== undefined && { templateId }),
  });
  core.later(() => makeNetworkReady(core, id));
  return id;
}

/** The driver has made the network: its ranges open. */
export function makeNetworkReady(core: Core, id: number): void {
  const network = core.networks.get(id);
  if (!network || network.state !== networkState.locked) return;
  let template = without(network.template, 'AR');
  for (const name of ['OUTER_VLAN_ID', 'VLAN_ID']) {
    template = withAttribute(template, name, single(template, name) ?? '');
  }
  const ranges = vectors(network.template, 'AR').map(readRange);
  core.networks.put({ ...network, state: networkState.ready, ranges, template });
}

function reserve(core: Core, caller: Caller, args: Arguments): number {
  const id = args.int(0);
  const parent = core.networks.get(id);
  // Seen: the words for an unknown parent lack its number.
  if (!parent) throw new RequestError(errno.noExists, 'Error getting virtual network Pool.', id);
  const template = readTemplate(args.string(1), errno.internal);
  authorize(caller, { operation: 'USE', kind: 'NET', object: parent });
  const size = Number(single(template, 'SIZE') ?? '0');
  if (!Number.isInteger(size) || size <= 0) {
    throw new RequestError(errno.internal, 'Cannot parse SIZE. Size is empty or not a positive integer.');
  }
  const name = single(template, 'NAME') ?? '';
  checkName(name);
  checkNameIsFree(core.networks, { uid: caller.id, name }, 'NET');
  const made = core.store.takeId('network');
  const block = leaseBlock(core, parent, size, made);
  if (!block) throw new RequestError(errno.internal, 'Not enough free addresses in an address range.');
  const { range, index } = block;
  const ip = ipAt(range, index);
  core.networks.put({
    id: made,
    uid: caller.id,
    gid: caller.gid,
    name,
    permissions: ownerOnly,
    state: networkState.ready,
    parentId: parent.id,
    template: parent.template,
    ranges: [
      {
        id: 0,
        type: range.type,
        mac: macAt(range, index),
        size,
        next: 0,
        parent: { ar: range.id, index },
        ...(ip !== undefined && { ip }),
      },
    ],
  });
  return made;
}

/** Ranges and single addresses of a network. */
function addressMethods(core: Core, kind: OwnedKind<Network>): Methods {
  function change(caller: Caller, id: number, operation: 'MANAGE' | 'ADMIN'): Network {
    const network = need(kind, id);
    authorize(caller, { operation, kind: 'NET', object: network });
    return network;
  }
  return {
    'one.vn.add_ar': {
      args: ['int', 'string'],
      help: 'Adds an address range',
      run(caller, args) {
        const network = change(caller, args.int(0), 'ADMIN');
        const pairs = vector(readTemplate(args.string(1), errno.action), 'AR') ?? {};
        const id = Math.max(-1, ...network.ranges.map(range => range.id)) + 1;
        core.networks.put({ ...network, ranges: [...network.ranges, readRange(pairs, id)] });
        return network.id;
      },
    },
    'one.vn.hold': {
      args: ['int', 'string'],
      help: 'Keeps an address from being leased: LEASES = [ IP = ... ]',
      run(caller, args) {
        const network = change(caller, args.int(0), 'MANAGE');
        const ip = vector(readTemplate(args.string(1), errno.action), 'LEASES')?.IP ?? '';
        if (!leaseIp(core, network.id, ip)) {
          throw new RequestError(errno.action, 'Address is not part of the address ranges or is already in use');
        }
        return network.id;
      },
    },
    'one.vn.release': {
      args: ['int', 'string'],
      help: 'Lets a held address go: LEASES = [ IP = ... ]',
      run(caller, args) {
        const network = change(caller, args.int(0), 'MANAGE');
        const ip = vector(readTemplate(args.string(1), errno.action), 'LEASES')?.IP ?? '';
        const held = leasesOf(core, network.id).find(lease => {
          const range = network.ranges.find(candidate => candidate.id === lease.ar);
          return lease.vm === undefined && lease.reservation === undefined && range && ipAt(range, lease.index) === ip;
        });
        if (!held) throw new RequestError(errno.action, 'Lease is not on hold');
        core.leases.remove(held.id);
        return network.id;
      },
    },
  };
}

/** Virtual networks: address ranges, leases, reservations. */
export function networkMethods(core: Core): Methods {
  const kind = networkKind(core);
  return {
    ...ownedMethods(core, kind),
    ...poolMethod(kind),
    ...addressMethods(core, kind),
    'one.vn.allocate': {
      args: ['string', 'int'],
      required: 1,
      help: 'Makes a virtual network',
      run(caller, args) {
        const template = readTemplate(args.string(0));
        authorize(
          caller,
          { operation: 'CREATE', kind: 'NET' },
          { operation: 'ADMIN', kind: 'CLUSTER', id: Math.max(0, args.int(1)) },
        );
        return allocateNetwork(core, caller, template);
      },
    },
    'one.vn.reserve': {
      args: ['int', 'string'],
      help: 'Cuts a reservation out of a network',
      run: (caller, args) => reserve(core, caller, args),
    },
  };
}

/** The network that a NIC names, by id or by name and owner. */
export function findNetwork(core: Core, caller: Caller, nic: Pairs): Network {
  if (nic.NETWORK_ID !== undefined) {
    const network = core.networks.get(Number(nic.NETWORK_ID));
    if (network) return network;
    throw new RequestError(errno.internal, `Virtual network with ID: ${nic.NETWORK_ID} does not exist`);
  }
  const name = nic.NETWORK ?? '';
  const owner = nic.NETWORK_UNAME === undefined ? caller.id : core.accounts.byName(nic.NETWORK_UNAME)?.id;
  const [id] = core.networks.lookup('name', `${owner}:${name}`);
  const network = id === undefined ? undefined : core.networks.get(id);
  if (network) return network;
  throw new RequestError(
    errno.internal,
    `User ${owner ?? caller.id} does not own a network with name: ${name} . Set NETWORK_UNAME or NETWORK_UID of owner in NIC.`,
  );
}

/** Refuses a network that the caller may not use. */
export function authorizeNetwork(caller: Caller, network: Network): void {
  authorizeRead(caller, { operation: 'USE', kind: 'NET', object: network });
}
