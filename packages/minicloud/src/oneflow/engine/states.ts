import type { ServiceState } from '@oneflower/opennebula';

const transient: readonly ServiceState[] = [
  'DEPLOYING',
  'UNDEPLOYING',
  'SCALING',
  'COOLDOWN',
  'DEPLOYING_NETS',
  'UNDEPLOYING_NETS',
];

const recoverable: readonly ServiceState[] = [...transient, 'PENDING'];

export function isFailed(state: ServiceState): boolean {
  return state.startsWith('FAILED_');
}

/** A service is deleted from any state that lasts; a second delete while it goes is let through too. */
export function canUndeploy(state: ServiceState): boolean {
  if (state === 'UNDEPLOYING') return true;
  return !transient.includes(state) && !isFailed(state) && state !== 'DONE';
}

/** Scaling, adding and removing roles. */
export function canScale(state: ServiceState): boolean {
  return state === 'RUNNING';
}

export function canRecover(state: ServiceState): boolean {
  return isFailed(state) || recoverable.includes(state);
}

export function canUpdate(state: ServiceState): boolean {
  return !transient.includes(state) && !isFailed(state);
}

/** Numbers of VM states and life cycle states that OneFlow looks at. */
const vmStates = { hold: 2, active: 3, stopped: 4, suspended: 5, done: 6, poweroff: 8, undeployed: 9 } as const;
const lcmRunning = 3;
const lcmUnknown = 16;
/** The life cycle states of the failed actions, BOOT_FAILURE (36) to PROLOG_MIGRATE_UNKNOWN_FAILURE among them. */
const lcmFailures: ReadonlySet<number> = new Set([36, 37, 38, 39, 40, 41, 42, 44, 46, 47, 48, 49, 50, 61]);

export interface VmCondition {
  state: number;
  lcmState: number;
}

export function isRunning(vm: VmCondition): boolean {
  return vm.state === vmStates.active && vm.lcmState === lcmRunning;
}

export function isDone(vm: VmCondition): boolean {
  return vm.state === vmStates.done;
}

export function isHeld(vm: VmCondition): boolean {
  return vm.state === vmStates.hold;
}

export function hasFailed(vm: VmCondition): boolean {
  return vm.state === vmStates.active && lcmFailures.has(vm.lcmState);
}

/** A VM that somebody stopped counts as ready while a role deploys: OneFlow does not wait for it. */
export function isParked(vm: VmCondition): boolean {
  const { stopped, suspended, poweroff, undeployed } = vmStates;
  return ([stopped, suspended, poweroff, undeployed] as number[]).includes(vm.state);
}

/** What turns a running role to WARNING: power off, UNKNOWN, and the failed states; not suspend, stop, undeploy. */
export function isTrouble(vm: VmCondition): boolean {
  return (
    vm.state === vmStates.poweroff || hasFailed(vm) || (vm.state === vmStates.active && vm.lcmState === lcmUnknown)
  );
}
