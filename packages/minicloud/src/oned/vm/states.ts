/** STATE of a VM. */
export const state = {
  pending: 1,
  hold: 2,
  active: 3,
  stopped: 4,
  suspended: 5,
  done: 6,
  poweroff: 8,
  undeployed: 9,
} as const;

/** LCM_STATE of an ACTIVE VM. */
export const lcm = {
  none: 0,
  prolog: 1,
  boot: 2,
  running: 3,
  saveStop: 5,
  saveSuspend: 6,
  prologResume: 9,
  epilogStop: 10,
  epilog: 11,
  shutdown: 12,
  cleanupResubmit: 15,
  hotplug: 17,
  shutdownPoweroff: 18,
  bootPoweroff: 20,
  bootSuspended: 21,
  bootStopped: 22,
  cleanupDelete: 23,
  hotplugNic: 25,
  shutdownUndeploy: 29,
  epilogUndeploy: 30,
  prologUndeploy: 31,
  bootUndeploy: 32,
  bootFailure: 36,
  epilogFailure: 40,
  bootUndeployFailure: 47,
  bootStoppedFailure: 48,
} as const;

const stateNames: Record<number, string> = {
  1: 'PENDING',
  2: 'HOLD',
  3: 'ACTIVE',
  4: 'STOPPED',
  5: 'SUSPENDED',
  6: 'DONE',
  8: 'POWEROFF',
  9: 'UNDEPLOYED',
};

const lcmNames: Record<number, string> = {
  0: 'LCM_INIT',
  1: 'PROLOG',
  2: 'BOOT',
  3: 'RUNNING',
  5: 'SAVE_STOP',
  6: 'SAVE_SUSPEND',
  9: 'PROLOG_RESUME',
  10: 'EPILOG_STOP',
  11: 'EPILOG',
  12: 'SHUTDOWN',
  15: 'CLEANUP_RESUBMIT',
  17: 'HOTPLUG',
  18: 'SHUTDOWN_POWEROFF',
  20: 'BOOT_POWEROFF',
  21: 'BOOT_SUSPENDED',
  22: 'BOOT_STOPPED',
  23: 'CLEANUP_DELETE',
  25: 'HOTPLUG_NIC',
  29: 'SHUTDOWN_UNDEPLOY',
  30: 'EPILOG_UNDEPLOY',
  31: 'PROLOG_UNDEPLOY',
  32: 'BOOT_UNDEPLOY',
  36: 'BOOT_FAILURE',
  40: 'EPILOG_FAILURE',
  47: 'BOOT_UNDEPLOY_FAILURE',
  48: 'BOOT_STOPPED_FAILURE',
};

/** The state as refusals name it: of an ACTIVE VM the one of its life cycle. */
export function stateName(vm: { state: number; lcm: number }): string {
  return (vm.state === state.active ? lcmNames[vm.lcm] : stateNames[vm.state]) ?? String(vm.state);
}

/** The numbers of actions in history records. */
export const action = {
  none: 0,
  undeploy: 5,
  undeployHard: 6,
  stop: 9,
  suspend: 10,
  poweroff: 19,
  poweroffHard: 20,
  nicAttach: 23,
  nicDetach: 24,
  terminate: 27,
  terminateHard: 28,
} as const;
