import { errno, RequestError } from '../errors.ts';
import { type Caller, isAdmin } from '../model.ts';
import type { Attribute, Template } from '../template/attributes.ts';

/** What only administrators may put into a VM (VM_RESTRICTED_ATTR of a stock oned.conf); null: the attribute itself. */
const restricted: Record<string, readonly string[] | null> = {
  CONTEXT: ['FILES'],
  NIC: [
    'MAC',
    'VLAN_ID',
    'BRIDGE',
    'FILTER',
    'FILTER_IP_SPOOFING',
    'FILTER_MAC_SPOOFING',
    'INBOUND_AVG_BW',
    'INBOUND_PEAK_BW',
    'INBOUND_PEAK_KB',
    'OUTBOUND_AVG_BW',
    'OUTBOUND_PEAK_BW',
    'OUTBOUND_PEAK_KB',
    'OPENNEBULA_MANAGED',
    'EXTERNAL',
    'VLAN_TAGGED_ID',
  ],
  NIC_DEFAULT: ['MAC', 'VLAN_ID', 'BRIDGE', 'FILTER', 'EXTERNAL'],
  DISK: ['OPENNEBULA_MANAGED', 'ORIGINAL_SIZE', 'SIZE_PREV', 'SIZE_IOPS_SEC'],
  RAW: ['DATA'],
  USER_INPUTS: ['CPU', 'MEMORY', 'VCPU'],
  TOPOLOGY: ['PIN_POLICY', 'HUGEPAGE_SIZE'],
  DEPLOY_ID: null,
  CPU_COST: null,
  MEMORY_COST: null,
  DISK_COST: null,
  PCI: null,
  EMULATOR: null,
  USER_PRIORITY: null,
};

function isRestricted(attribute: Attribute): boolean {
  const keys = Object.hasOwn(restricted, attribute.name) ? restricted[attribute.name] : undefined;
  if (keys === undefined) return false;
  if (keys === null) return true;
  const { value } = attribute;
  return typeof value !== 'string' && keys.some(key => Object.hasOwn(value, key));
}

/** Refuses a template of an ordinary user that holds what only administrators may set. */
export function checkRestricted(caller: Caller, template: Template): void {
  if (isAdmin(caller)) return;
  const found = template.find(isRestricted);
  if (!found) return;
  throw new RequestError(
    errno.authorization,
    `User [${caller.id}] : User Template includes a restricted attribute ${found.name}.`,
  );
}
