import { indexOf, ipAt, macAt } from './addresses.ts';
import type { Core } from './core.ts';
import type { AddressRange, Lease, Network } from './infrastructure.ts';
import type { Store, Table } from './store.ts';
import type { Pairs } from './template/attributes.ts';

/** An address that was given out. */
export interface Address {
  readonly ar: number;
  readonly ip: string | undefined;
  readonly mac: string;
}

/** The table of leases, found by network, VM, place and reservation. */
export function leaseTable(store: Store): Table<Lease> {
  return store.table<Lease>('lease', {
    indexes: {
      network: lease => [lease.network],
      vm: lease => (lease.vm === undefined ? [] : [lease.vm]),
      place: lease => [`${lease.network}:${lease.ar}:${lease.index}`],
      reservation: lease => (lease.reservation === undefined ? [] : [lease.reservation]),
    },
  });
}

function isTaken(core: Core, network: number, ar: number, index: number): boolean {
  for (const lease of core.leases.staged().values()) {
    if (lease?.network === network && lease.ar === ar && lease.index === index) return true;
  }
  const ids = core.leases.lookup('place', `${network}:${ar}:${index}`);
  return [...ids].some(id => core.leases.get(id) !== undefined);
}

function freeIndex(core: Core, network: Network, range: AddressRange): number | undefined {
  for (let step = 0; step < range.size; step += 1) {
    const index = (range.next + step) % range.size;
    if (!isTaken(core, network.id, range.id, index)) return index;
  }
  return undefined;
}

function take(
  core: Core,
  network: Network,
  range: AddressRange,
  index: number,
  holder: Pick<Lease, 'vm' | 'reservation'>,
): Address {
  core.leases.put({
    id: core.store.takeId('lease'),
    network: network.id,
    ar: range.id,
    index,
    ...holder,
  });
  const ranges = network.ranges.map(other =>
    other.id === range.id ? { ...other, next: (index + 1) % range.size } : other,
  );
  core.networks.put({ ...network, ranges });
  return { ar: range.id, ip: ipAt(range, index), mac: macAt(range, index) };
}

/** The first free address of a network for a VM; undefined when there is none left. */
export function leaseAny(core: Core, networkId: number, vm: number): Address | undefined {
  const network = core.networks.get(networkId);
  for (const range of network?.ranges ?? []) {
    const index = network && freeIndex(core, network, range);
    if (network && index !== undefined) return take(core, network, range, index, { vm });
  }
  return undefined;
}

/** That very address for a VM; undefined when it is taken or in no range. Without a VM it is held. */
export function leaseIp(core: Core, networkId: number, ip: string, vm?: number): Address | undefined {
  const network = core.networks.get(networkId);
  for (const range of network?.ranges ?? []) {
    const index = indexOf(range, ip);
    if (!network || index === undefined || isTaken(core, network.id, range.id, index)) continue;
    return take(core, network, range, index, vm === undefined ? {} : { vm });
  }
  return undefined;
}

/** A run of `size` neighbouring free addresses for a reservation; the range and the first index. */
export function leaseBlock(
  core: Core,
  network: Network,
  size: number,
  reservation: number,
): { range: AddressRange; index: number } | undefined {
  for (const range of network.ranges) {
    for (let index = 0; index + size <= range.size; index += 1) {
      const block = Array.from({ length: size }, (_, step) => index + step);
      if (block.some(at => isTaken(core, network.id, range.id, at))) continue;
      for (const at of block) {
        core.leases.put({ id: core.store.takeId('lease'), network: network.id, ar: range.id, index: at, reservation });
      }
      return { range, index };
    }
  }
  return undefined;
}

/** The committed leases of a network, lowest range and index first. */
export function leasesOf(core: Core, network: number): Lease[] {
  const leases: Lease[] = [];
  for (const id of core.leases.lookup('network', network)) {
    const lease = core.leases.get(id);
    if (lease) leases.push(lease);
  }
  return leases.sort((a, b) => a.ar - b.ar || a.index - b.index);
}

/** Gives back all addresses of a VM. */
export function releaseOfVm(core: Core, vm: number): void {
  for (const id of core.leases.lookup('vm', vm)) core.leases.remove(id);
}

/** Gives back the address of one NIC: by its network and range, and there by IP or, in a range without, by MAC. */
export function releaseOfNic(core: Core, vm: number, nic: Pairs): void {
  for (const id of core.leases.lookup('vm', vm)) {
    const lease = core.leases.get(id);
    if (!lease || String(lease.network) !== nic.NETWORK_ID || String(lease.ar) !== nic.AR_ID) continue;
    const range = core.networks.get(lease.network)?.ranges.find(candidate => candidate.id === lease.ar);
    if (!range) continue;
    const ip = ipAt(range, lease.index);
    if (ip === undefined ? macAt(range, lease.index) === nic.MAC : ip === nic.IP) core.leases.remove(id);
  }
}
