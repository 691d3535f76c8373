/** STATE of a virtual machine. */
export const VM_STATES = {
  0: 'INIT',
  1: 'PENDING',
  2: 'HOLD',
  3: 'ACTIVE',
  4: 'STOPPED',
  5: 'SUSPENDED',
  6: 'DONE',
  8: 'POWEROFF',
  9: 'UNDEPLOYED',
  10: 'CLONING',
  11: 'CLONING_FAILURE',
} as const;

/** LCM_STATE of a virtual machine; it says more only while STATE is ACTIVE. */
export const LCM_STATES = {
  0: 'LCM_INIT',
  1: 'PROLOG',
  2: 'BOOT',
  3: 'RUNNING',
  4: 'MIGRATE',
  5: 'SAVE_STOP',
  6: 'SAVE_SUSPEND',
  7: 'SAVE_MIGRATE',
  8: 'PROLOG_MIGRATE',
  9: 'PROLOG_RESUME',
  10: 'EPILOG_STOP',
  11: 'EPILOG',
  12: 'SHUTDOWN',
  15: 'CLEANUP_RESUBMIT',
  16: 'UNKNOWN',
  17: 'HOTPLUG',
  18: 'SHUTDOWN_POWEROFF',
  19: 'BOOT_UNKNOWN',
  20: 'BOOT_POWEROFF',
  21: 'BOOT_SUSPENDED',
  22: 'BOOT_STOPPED',
  23: 'CLEANUP_DELETE',
  24: 'HOTPLUG_SNAPSHOT',
  25: 'HOTPLUG_NIC',
  29: 'SHUTDOWN_UNDEPLOY',
  30: 'EPILOG_UNDEPLOY',
  31: 'PROLOG_UNDEPLOY',
  32: 'BOOT_UNDEPLOY',
  36: 'BOOT_FAILURE',
  37: 'BOOT_MIGRATE_FAILURE',
  38: 'PROLOG_MIGRATE_FAILURE',
  39: 'PROLOG_FAILURE',
  40: 'EPILOG_FAILURE',
  41: 'EPILOG_STOP_FAILURE',
  42: 'EPILOG_UNDEPLOY_FAILURE',
  47: 'BOOT_UNDEPLOY_FAILURE',
  48: 'BOOT_STOPPED_FAILURE',
} as const;

export const IMAGE_STATES = {
  0: 'INIT',
  1: 'READY',
  2: 'USED',
  3: 'DISABLED',
  4: 'LOCKED',
  5: 'ERROR',
  6: 'CLONE',
  7: 'DELETE',
  8: 'USED_PERS',
} as const;

export const NETWORK_STATES = {
  0: 'INIT',
  1: 'READY',
  2: 'LOCK_CREATE',
  3: 'LOCK_DELETE',
  4: 'DONE',
  5: 'ERROR',
} as const;

export const HOST_STATES = {
  0: 'INIT',
  1: 'MONITORING_MONITORED',
  2: 'MONITORED',
  3: 'ERROR',
  4: 'DISABLED',
  5: 'MONITORING_ERROR',
  6: 'MONITORING_INIT',
  7: 'MONITORING_DISABLED',
  8: 'OFFLINE',
} as const;

type NamesOf<Table> = Table[keyof Table];
/** `OTHER` is a state that this client has no name for; the number is beside it. */
export type VmState = NamesOf<typeof VM_STATES> | 'OTHER';
export type LcmState = NamesOf<typeof LCM_STATES> | 'OTHER';
export type ImageState = NamesOf<typeof IMAGE_STATES> | 'OTHER';
export type NetworkState = NamesOf<typeof NETWORK_STATES> | 'OTHER';
export type HostState = NamesOf<typeof HOST_STATES> | 'OTHER';

/** The name of a state, by its number on the wire. */
export function stateName<Name extends string>(table: Readonly<Record<number, Name>>, state: number): Name | 'OTHER' {
  return table[state] ?? 'OTHER';
}
