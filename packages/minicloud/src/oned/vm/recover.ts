import { authorize } from '../access.ts';
import type { Core } from '../core.ts';
import { errno, notFound, RequestError } from '../errors.ts';
import { releaseOfVm } from '../leases.ts';
import type { Arguments } from '../methods.ts';
import type { Caller } from '../model.ts';
import { type Vm, withLastRecord } from './model.ts';
import { lcm, state, stateName } from './states.ts';
import { finished, inLcm, started, startFailed } from './transitions.ts';

/** The state to enter again, by the failure state. */
const retries: Record<number, number> = {
  [lcm.bootFailure]: lcm.boot,
  [lcm.bootStoppedFailure]: lcm.bootStopped,
  [lcm.bootUndeployFailure]: lcm.bootUndeploy,
  [lcm.epilogFailure]: lcm.epilog,
};

const booting: readonly number[] = [
  lcm.boot,
  lcm.bootPoweroff,
  lcm.bootSuspended,
  lcm.bootStopped,
  lcm.bootUndeploy,
  lcm.bootFailure,
  lcm.bootStoppedFailure,
  lcm.bootUndeployFailure,
];

const ending: readonly number[] = [
  lcm.shutdown,
  lcm.shutdownPoweroff,
  lcm.shutdownUndeploy,
  lcm.saveStop,
  lcm.saveSuspend,
];

/** The driver's action is taken for failed. Where none is under way nothing happens (seen with a RUNNING VM). */
function fail(vm: Vm, now: number): Vm {
  if (booting.includes(vm.lcm) && retries[vm.lcm] === undefined)
    return startFailed(vm, now, 'Recovered by an operator');
  return ending.includes(vm.lcm) ? inLcm(vm, lcm.running) : vm;
}

function succeed(vm: Vm, now: number): Vm {
  if (booting.includes(vm.lcm)) return started(vm, now, vm.history.at(-1)?.vmMad ?? '');
  if (vm.lcm === lcm.epilogFailure) return finished(vm, now);
  return vm;
}

function retry(vm: Vm, now: number): Vm {
  const to = retries[vm.lcm];
  if (vm.state !== state.active || to === undefined) {
    throw new RequestError(errno.action, `Recover retry is not available for state ${stateName(vm)}`);
  }
  return withLastRecord(inLcm(vm, to), { runStart: now, runEnd: 0 });
}

function recreate(vm: Vm): Vm {
  if (vm.state !== state.active && vm.state !== state.poweroff && vm.state !== state.suspended) {
    throw new RequestError(errno.action, `Recover delete-recreate is not available for state ${stateName(vm)}`);
  }
  return inLcm(vm, lcm.cleanupResubmit);
}

function remove(vm: Vm, now: number): Vm {
  if (vm.state === state.pending || vm.state === state.hold) return finished(vm, now);
  return inLcm(vm, lcm.cleanupDelete);
}

/** oned's operations by number. */
const operations: Record<number, (vm: Vm, now: number) => Vm> = {
  0: fail,
  1: succeed,
  2: retry,
  3: remove,
  4: recreate,
  5: finished,
};

/** one.vm.recover. */
export function recoverVm(core: Core, caller: Caller, args: Arguments): number {
  const vm = core.vms.get(args.int(0));
  if (!vm) throw notFound('virtual machine', args.int(0));
  const operation = args.int(1);
  const run = operations[operation];
  authorize(caller, { operation: 'ADMIN', kind: 'VM', object: vm });
  if (!run) throw new RequestError(errno.action, 'Wrong recovery operation code');
  if (vm.state === state.done) {
    throw new RequestError(errno.action, `Recover action is not available for state ${stateName(vm)}`);
  }
  const changed = run(vm, core.seconds());
  if (changed.state === state.done) releaseOfVm(core, vm.id);
  if (changed !== vm) core.vms.put(changed);
  return vm.id;
}
