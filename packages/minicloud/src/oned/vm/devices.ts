import { authorizeRead } from '../access.ts';
import type { Core } from '../core.ts';
import { errno, RequestError } from '../errors.ts';
import { findImage } from '../images.ts';
import { imageState, type Network } from '../infrastructure.ts';
import { leaseAny, leaseIp } from '../leases.ts';
import type { Caller } from '../model.ts';
import { authorizeNetwork, findNetwork } from '../networks.ts';
import { type Pairs, single } from '../template/attributes.ts';

/** A disk with what its image and the image's datastore say. Volatile disks come back nearly as they were. */
export function describeDisk(core: Core, caller: Caller, disk: Pairs, diskId: number): Record<string, string> {
  const image = findImage(core, caller, disk, diskId);
  if (!image) return { ...disk, DISK_ID: String(diskId), DEV_PREFIX: disk.DEV_PREFIX ?? 'sd' };
  authorizeRead(caller, { operation: 'USE', kind: 'IMAGE', object: image });
  const datastore = core.datastores.get(image.datastoreId);
  const of = (name: string): string => (datastore && single(datastore.template, name)) ?? '';
  return {
    ...disk,
    ALLOW_ORPHANS: of('ALLOW_ORPHANS'),
    CLONE: image.persistent ? 'NO' : 'YES',
    CLONE_TARGET: of('CLONE_TARGET'),
    CLUSTER_ID: '0',
    DATASTORE: datastore?.name ?? '',
    DATASTORE_ID: String(image.datastoreId),
    DEV_PREFIX: disk.DEV_PREFIX ?? single(image.template, 'DEV_PREFIX') ?? 'sd',
    DISK_ID: String(diskId),
    DISK_SNAPSHOT_TOTAL_SIZE: '0',
    DISK_TYPE: 'FILE',
    DRIVER: image.format,
    FORMAT: image.format,
    IMAGE: image.name,
    IMAGE_ID: String(image.id),
    IMAGE_STATE: String(image.state),
    LN_TARGET: of('LN_TARGET'),
    ORIGINAL_SIZE: String(image.size),
    PERSISTENT_SNAPSHOTS: of('PERSISTENT_SNAPSHOTS'),
    READONLY: 'NO',
    SAVE: image.persistent ? 'YES' : 'NO',
    SIZE: disk.SIZE ?? String(image.size),
    SOURCE: image.source,
    TM_MAD: of('TM_MAD'),
    TYPE: 'FILE',
  };
}

/** The disks of a new VM: described, each with its device name, their images in use from now on. */
export function makeDisks(core: Core, caller: Caller, disks: readonly Pairs[]): Record<string, string>[] {
  const letters = new Map<string, number>();
  return disks.map((asked, diskId) => {
    const disk = describeDisk(core, caller, asked, diskId);
    const prefix = disk.DEV_PREFIX ?? 'sd';
    const letter = letters.get(prefix) ?? 0;
    letters.set(prefix, letter + 1);
    const target = asked.TARGET ?? `${prefix}${String.fromCharCode(97 + letter)}`;
    const state = disk.IMAGE_STATE === undefined ? {} : { IMAGE_STATE: String(imageState.used) };
    return { ...disk, ...state, TARGET: target };
  });
}

/** What a NIC takes over from its network. */
const inherited = ['DNS', 'GATEWAY', 'MTU', 'METRIC', 'METHOD', 'EXTERNAL', 'FILTER', 'VLAN_TAGGED_ID'];

function lease(core: Core, network: Network, nic: Pairs, vmId: number): { ar: number; ip?: string; mac: string } {
  const address = nic.IP === undefined ? leaseAny(core, network.id, vmId) : leaseIp(core, network.id, nic.IP, vmId);
  if (!address) {
    const wish = nic.IP === undefined ? '' : `with address: ${nic.IP} `;
    throw new RequestError(errno.internal, `Cannot get IP/MAC lease ${wish}from virtual network ${network.id}.`);
  }
  return { ar: address.ar, mac: address.mac, ...(address.ip !== undefined && { ip: address.ip }) };
}

/** A NIC of a VM: its network looked up, an address leased. */
export function makeNic(core: Core, caller: Caller, asked: Pairs, vmId: number, nicId: number): Record<string, string> {
  const network = findNetwork(core, caller, asked);
  authorizeNetwork(caller, network);
  const address = lease(core, network, asked, vmId);
  const nic: Record<string, string> = {
    ...asked,
    AR_ID: String(address.ar),
    CLUSTER_ID: '0',
    MAC: asked.MAC ?? address.mac,
    NAME: asked.NAME ?? `NIC${nicId}`,
    NETWORK: network.name,
    NETWORK_ID: String(network.id),
    NIC_ID: String(nicId),
    SECURITY_GROUPS: '0',
    TARGET: `one-${vmId}-${nicId}`,
  };
  if (address.ip !== undefined) nic.IP = address.ip;
  for (const name of ['BRIDGE', 'BRIDGE_TYPE', 'VN_MAD', ...inherited]) {
    const value = single(network.template, name);
    if (value !== undefined && value !== '' && asked[name] === undefined) nic[name] = value;
  }
  return nic;
}
