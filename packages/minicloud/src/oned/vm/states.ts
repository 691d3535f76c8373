import { LCM_STATES, stateName as nameOf, VM_STATES } from '@oneflower/opennebula';

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

/** The state as refusals name it: of an ACTIVE VM the one of its life cycle. */
export function stateName(vm: { state: number; lcm: number }): string {
  return vm.state === state.active ? nameOf(LCM_STATES, vm.lcm) : nameOf(VM_STATES, vm.state);
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
