import { ipAt, macAt } from './addresses.ts';
import type { Core } from './core.ts';
import { type AddressRange, type Lease, type Network, networkState } from './infrastructure.ts';
import { leasesOf } from './leases.ts';
import { element, idList, renderHead, renderLock, renderPermissions } from './render.ts';
import { cdata, renderPairs, renderTemplate, single } from './template/attributes.ts';

/** Bit that marks a VM's lease in ALLOCATED, and a reservation's. */
const vmMark = 0x1000000000;
const reservationMark = 0x4000000000;

function rangePairs(range: AddressRange): Record<string, string> {
  return {
    AR_ID: String(range.id),
    MAC: range.mac,
    NEXT_INDEX: String(range.next),
    SHARED: 'NO',
    SIZE: String(range.size),
    TYPE: range.type,
    ...(range.ip !== undefined && { IP: range.ip }),
    ...(range.parent && { PARENT_NETWORK_AR_ID: String(range.parent.ar) }),
  };
}

function renderLease(range: AddressRange, lease: Lease): string {
  const ip = ipAt(range, lease.index);
  const holder =
    lease.vm !== undefined
      ? `<VM>${cdata(String(lease.vm))}</VM>`
      : `<VNET>${cdata(String(lease.reservation ?? -1))}</VNET>`;
  return `<LEASE>${ip === undefined ? '' : `<IP>${cdata(ip)}</IP>`}<MAC>${cdata(macAt(range, lease.index))}</MAC>${holder}</LEASE>`;
}

function renderRange(range: AddressRange, leases: readonly Lease[]): string {
  const last = range.size - 1;
  const lastIp = ipAt(range, last);
  const mine = leases.filter(lease => lease.ar === range.id);
  return [
    '<AR>',
    renderPairs(rangePairs(range)),
    `<MAC_END>${cdata(macAt(range, last))}</MAC_END>`,
    lastIp === undefined ? '' : `<IP_END>${cdata(lastIp)}</IP_END>`,
    element('USED_LEASES', mine.length),
    `<LEASES>${mine.map(lease => renderLease(range, lease)).join('')}</LEASES>`,
    '</AR>',
  ].join('');
}

function renderRangeInPool(range: AddressRange, leases: readonly Lease[]): string {
  const allocated = leases
    .filter(lease => lease.ar === range.id)
    .map(lease => {
      const holder = lease.vm === undefined ? reservationMark + (lease.reservation ?? 0) : vmMark + lease.vm;
      return ` ${lease.index} ${holder}`;
    })
    .join('');
  const pairs = rangePairs(range);
  return `<AR>${renderPairs(allocated === '' ? pairs : { ...pairs, ALLOCATED: allocated })}</AR>`;
}

/** A network; in a pool its ranges say in a list of numbers what is leased. */
export function renderNetwork(core: Core, network: Network, inPool: boolean): string {
  const leases = leasesOf(core, network.id);
  const vms = [...new Set(leases.flatMap(lease => lease.vm ?? []))].sort((a, b) => a - b);
  const text = (name: string): string => {
    const value = single(network.template, name) ?? '';
    return value === '' ? `<${name}/>` : `<${name}>${cdata(value)}</${name}>`;
  };
  const id = (name: string, value: number | undefined): string =>
    value === undefined ? `<${name}/>` : `<${name}>${cdata(String(value))}</${name}>`;
  const before = network.state === networkState.locked ? 0 : network.state;
  const renderOne = inPool ? renderRangeInPool : renderRange;
  return [
    `<VNET>${renderHead(core.accounts, network)}${renderPermissions(network)}${renderLock(network.lock)}`,
    idList('CLUSTERS', [0]),
    text('BRIDGE'),
    text('BRIDGE_TYPE'),
    `<STATE>${cdata(String(network.state))}</STATE><PREV_STATE>${cdata(String(before))}</PREV_STATE>`,
    id('PARENT_NETWORK_ID', network.parentId),
    id('TEMPLATE_ID', network.templateId),
    text('VN_MAD'),
    text('PHYDEV'),
    text('VLAN_ID'),
    text('OUTER_VLAN_ID'),
    element('VLAN_ID_AUTOMATIC', 0),
    element('OUTER_VLAN_ID_AUTOMATIC', 0),
    element('USED_LEASES', leases.length),
    '<VROUTERS></VROUTERS>',
    idList('UPDATED_VMS', vms),
    '<OUTDATED_VMS></OUTDATED_VMS><UPDATING_VMS></UPDATING_VMS><ERROR_VMS></ERROR_VMS>',
    renderTemplate(network.template),
    `<AR_POOL>${network.ranges.map(range => renderOne(range, leases)).join('')}</AR_POOL></VNET>`,
  ].join('');
}
