import { authorize } from '../access.ts';
import type { Core } from '../core.ts';
import { errno, notFound, RequestError } from '../errors.ts';
import { releaseOfVm } from '../leases.ts';
import type { Arguments } from '../methods.ts';
import type { Caller } from '../model.ts';
import { type Vm, withLastRecord } from './model.ts';
import { action, lcm, state, stateName } from './states.ts';
import { finished, inLcm, inState, type Requester, startedAgain, withAction } from './transitions.ts';

/** What the actions need beyond the core. */
export interface ActionSurroundings {
  core: Core;
  reboot(id: number, hard: boolean): void;
}

interface Request {
  vm: Vm;
  now: number;
  hard: boolean;
  by: Requester;
  surroundings: ActionSurroundings;
}

/** The changed VM, or undefined when the action is not for its state. */
type Action = (request: Request) => Vm | undefined;

function runs(vm: Vm): boolean {
  return vm.state === state.active && vm.lcm === lcm.running;
}

/** Leaves RUNNING by a shutdown, hard or not, noting the action. */
function leaveRunning(to: number, soft: number, hardNumber = soft): Action {
  return ({ vm, hard, by }) => {
    if (!runs(vm)) return undefined;
    return { ...withAction(inLcm(vm, to), hard ? hardNumber : soft, by), hard };
  };
}

const failures: readonly number[] = [
  lcm.bootFailure,
  lcm.epilogFailure,
  lcm.bootStoppedFailure,
  lcm.bootUndeployFailure,
];

function terminate(request: Request): Vm | undefined {
  const { vm, hard, by, now } = request;
  const number = hard ? action.terminateHard : action.terminate;
  if (vm.state === state.pending || vm.state === state.hold) return finished(vm, now);
  if (vm.state === state.done) return undefined;
  if (vm.state !== state.active)
    return withLastRecord(withAction(inLcm(vm, lcm.epilog), number, by), { epilogStart: now });
  if (runs(vm)) return { ...withAction(inLcm(vm, lcm.shutdown), number, by), hard };
  const gone = vm.lcm === lcm.epilog || vm.lcm === lcm.cleanupDelete;
  if (gone || !(hard || failures.includes(vm.lcm))) return undefined;
  return withAction(inLcm(vm, lcm.cleanupDelete), number, by);
}

function resume({ vm, now }: Request): Vm | undefined {
  if (vm.state === state.poweroff || vm.state === state.suspended) return startedAgain(vm, now);
  if (vm.state === state.stopped || vm.state === state.undeployed) return inState(vm, state.pending);
  return undefined;
}

function undeploy(request: Request): Vm | undefined {
  const { vm, by, now } = request;
  if (vm.state === state.poweroff) {
    return withLastRecord(withAction(inLcm(vm, lcm.epilogUndeploy), action.undeploy, by), { epilogStart: now });
  }
  return leaveRunning(lcm.shutdownUndeploy, action.undeploy, action.undeployHard)(request);
}

function stop(request: Request): Vm | undefined {
  const { vm, by, now } = request;
  if (vm.state === state.suspended) {
    return withLastRecord(withAction(inLcm(vm, lcm.epilogStop), action.stop, by), { epilogStart: now });
  }
  return leaveRunning(lcm.saveStop, action.stop)(request);
}

function reboot({ vm, hard, surroundings }: Request): Vm | undefined {
  if (!runs(vm)) return undefined;
  surroundings.reboot(vm.id, hard);
  return vm;
}

const actions: Record<string, Action> = {
  terminate,
  poweroff: leaveRunning(lcm.shutdownPoweroff, action.poweroff, action.poweroffHard),
  suspend: leaveRunning(lcm.saveSuspend, action.suspend),
  undeploy,
  stop,
  resume,
  reboot,
  hold: ({ vm }) => (vm.state === state.pending ? inState(vm, state.hold) : undefined),
  release: ({ vm }) => (vm.state === state.hold ? inState(vm, state.pending) : undefined),
  resched: ({ vm }) => (runs(vm) ? { ...vm, resched: 1 } : undefined),
  unresched: ({ vm }) => (runs(vm) ? { ...vm, resched: 0 } : undefined),
};

const hardActions = ['terminate', 'poweroff', 'undeploy', 'reboot'];

function find(name: string): { run: Action; hard: boolean } | undefined {
  const soft = name.replace(/-hard$/, '');
  const hard = soft !== name;
  const run = Object.hasOwn(actions, soft) ? actions[soft] : undefined;
  return run && (!hard || hardActions.includes(soft)) ? { run, hard } : undefined;
}

/** one.vm.action. */
export function actOnVm(surroundings: ActionSurroundings, caller: Caller, args: Arguments): number {
  const { core } = surroundings;
  const name = args.string(0);
  const found = find(name);
  if (!found) throw new RequestError(errno.action, `Action "${name}" is not supported`);
  const vm = core.vms.get(args.int(1));
  if (!vm) throw notFound('virtual machine', args.int(1));
  const operation = name === 'resched' || name === 'unresched' ? 'ADMIN' : 'MANAGE';
  authorize(caller, { operation, kind: 'VM', object: vm });
  const by = { uid: caller.id, gid: caller.gid, requestId: core.requestId() };
  const changed = found.run({ vm, now: core.seconds(), hard: found.hard, by, surroundings });
  if (!changed) {
    const why = `This action is not available for state ${stateName(vm)}`;
    throw new RequestError(errno.action, `Error performing action "${name}": ${why}`);
  }
  if (changed.state === state.done) releaseOfVm(core, vm.id);
  core.vms.put(changed);
  return vm.id;
}
