import type { EnrolRequest } from '@oneflower/contract';
import type { Liveness } from './liveness.ts';
import type { NodeRecord } from './records.ts';

/** What is known at one moment of who is still there. */
export interface Presence {
  liveness: Liveness;
  /** All records at that moment. */
  nodes: readonly NodeRecord[];
  /** VMs that OneGate lists; undefined when that is not known. */
  vms: ReadonlySet<number> | undefined;
}

/** Whether a node makes place for the one that asks: its VM is no more, or has been set up anew with another key. */
export function isReplaced(record: NodeRecord, { vmId }: EnrolRequest, presence: Presence): boolean {
  if (record.vmId === null || !record.vmSeen) return false;
  if (isVmGone(record, presence)) return true;
  return record.vmId === vmId && !isThere(record, presence);
}

/**
 * Whether the key that a VM asks with is another VM's at this moment: a disk was copied with the key on it. The same VM
 * after a reboot has its id of OpenNebula still, and a VM that was replaced is gone or silent.
 */
export function isHeldByAnotherVm(own: NodeRecord, { vmId }: EnrolRequest, presence: Presence): boolean {
  return own.vmId !== vmId && !isVmGone(own, presence) && isThere(own, presence);
}

/** Absence means something only of a VM that was listed once: others are of another site. */
function isVmGone({ vmId, vmSeen }: NodeRecord, { vms }: Presence): boolean {
  return vmId !== null && vmSeen && vms !== undefined && !vms.has(vmId);
}

function isThere(record: NodeRecord, { liveness, nodes }: Presence): boolean {
  return !liveness.isAway(record) || liveness.isOnline(record, nodes);
}
