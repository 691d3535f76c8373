import { messageOf } from '@oneflower/contract';
import type { VmDriver } from '../../interfaces.ts';
import type { Core } from '../core.ts';
import { releaseOfVm } from '../leases.ts';
import { driverVm, type GateToken } from './guest.ts';
import { type Vm, withLastRecord } from './model.ts';
import { lcm, state } from './states.ts';
import {
  afterProlog,
  finished,
  inLcm,
  inState,
  left,
  prologDone,
  started,
  startFailed,
  withError,
} from './transitions.ts';

interface Surroundings {
  core: Core;
  driver: VmDriver;
  gateToken: GateToken;
  transaction(work: () => void): void;
}

/** What a life-cycle state does, and what its end or failure turns the VM to. */
interface Step {
  run(vm: Vm): Promise<void>;
  done(vm: Vm, now: number): Vm;
  failed(vm: Vm, now: number, why: string): Vm;
}

function closeRun(vm: Vm, now: number): Vm {
  return withLastRecord(vm, { runEnd: now });
}

/** The guest would not go: it runs on, with the driver's words in ERROR. */
function runsOn(what: string): Step['failed'] {
  return (vm, now, why) => {
    const { hard: _hard, ...rest } = vm;
    const running = withLastRecord(inLcm(rest, lcm.running), { action: 0, uid: -1, gid: -1, requestId: -1 });
    return withError(running, now, `${what}: ${why}`);
  };
}

/** The next state on the same host, reached when the guest has ended. */
function thenEpilog(to: number): Step['done'] {
  return (vm, now) => withLastRecord(inLcm(vm, to), { runEnd: now, epilogStart: now });
}

function steps({ core, driver, gateToken }: Surroundings): Record<number, Step> {
  const shutdown = (vm: Vm): Promise<void> => driver.shutdown(vm.id, { hard: vm.hard ?? false });
  const boot: Step = {
    run: vm => driver.deploy(driverVm(core, vm, gateToken)),
    done: (vm, now) => started(vm, now, driver.name),
    failed: startFailed,
  };
  const recontext: Step = {
    run: vm => driver.recontext(driverVm(core, vm, gateToken)),
    done: vm => inLcm(vm, lcm.running),
    failed: (vm, now, why) => withError(inLcm(vm, lcm.running), now, `UPDATECONF: ${why}`),
  };
  const nothing = async (): Promise<void> => undefined;
  const end: Step = {
    run: vm => driver.destroy(vm.id),
    done: finished,
    failed: (vm, now, why) => withError(inLcm(vm, lcm.epilogFailure), now, `EPILOG: ${why}`),
  };
  async function wipe(vm: Vm): Promise<void> {
    await driver.shutdown(vm.id, { hard: true });
    await driver.destroy(vm.id);
  }
  return {
    [lcm.boot]: boot,
    [lcm.bootPoweroff]: boot,
    [lcm.bootSuspended]: boot,
    [lcm.bootStopped]: boot,
    [lcm.bootUndeploy]: boot,
    [lcm.hotplug]: recontext,
    [lcm.hotplugNic]: recontext,
    [lcm.shutdown]: { run: shutdown, done: thenEpilog(lcm.epilog), failed: runsOn('SHUTDOWN') },
    [lcm.shutdownPoweroff]: {
      run: shutdown,
      done: (vm, now) => closeRun(inState(vm, state.poweroff), now),
      failed: runsOn('SHUTDOWN'),
    },
    [lcm.saveSuspend]: {
      run: shutdown,
      done: (vm, now) => closeRun(inState(vm, state.suspended), now),
      failed: runsOn('SAVE'),
    },
    [lcm.saveStop]: { run: shutdown, done: thenEpilog(lcm.epilogStop), failed: runsOn('SAVE') },
    [lcm.shutdownUndeploy]: { run: shutdown, done: thenEpilog(lcm.epilogUndeploy), failed: runsOn('SHUTDOWN') },
    [lcm.epilogStop]: { run: nothing, done: (vm, now) => left(vm, state.stopped, now), failed: vm => vm },
    [lcm.epilogUndeploy]: { run: nothing, done: (vm, now) => left(vm, state.undeployed, now), failed: vm => vm },
    [lcm.epilog]: end,
    [lcm.cleanupDelete]: { run: wipe, done: finished, failed: finished },
    [lcm.cleanupResubmit]: {
      run: wipe,
      done: (vm, now) => withLastRecord(inState(vm, state.pending), { end: now }),
      failed: (vm, now) => withLastRecord(inState(vm, state.pending), { end: now }),
    },
  };
}

/**
 * Moves VMs through their life cycle: each life-cycle state that waits for the driver starts the driver's action,
 * and its end is one transaction. Because the state itself says what is under way, a restart only enters the
 * stored states again.
 */
export class Lifecycle {
  readonly #surroundings: Surroundings;
  readonly #steps: Record<number, Step>;
  /** The state whose action is under way, per VM; an end that no longer belongs to it is dropped. */
  readonly #underWay = new Map<number, object>();
  readonly #rebooting = new Set<number>();
  #closed = false;

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings;
    this.#steps = steps(surroundings);
  }

  /** A VM has come into its state: what that state asks for is started. */
  enter(vm: Vm): void {
    this.#underWay.delete(vm.id);
    if (this.#closed || vm.state !== state.active) return;
    if (afterProlog[vm.lcm] !== undefined) {
      // Nothing is copied here: a prolog is over as soon as it has been seen.
      this.#move(vm.id, vm.lcm, prologDone);
      return;
    }
    const step = this.#steps[vm.lcm];
    if (step) this.#run(vm, step);
  }

  /** A guest that was found running although its VM was still starting: its start is noted. */
  adopt(vm: Vm): void {
    const step = this.#steps[vm.lcm];
    if (step) this.#move(vm.id, vm.lcm, step.done);
  }

  #run(vm: Vm, step: Step): void {
    const turn = {};
    this.#underWay.set(vm.id, turn);
    const settle = (change: (vm: Vm, now: number) => Vm): void => {
      if (this.#closed || this.#underWay.get(vm.id) !== turn) return;
      this.#move(vm.id, vm.lcm, change);
    };
    const over = Promise.resolve().then(() => step.run(vm));
    over.then(
      () => settle(step.done),
      (error: unknown) => settle((current, now) => step.failed(current, now, messageOf(error))),
    );
  }

  #move(id: number, from: number, change: (vm: Vm, now: number) => Vm): void {
    const { core, transaction } = this.#surroundings;
    transaction(() => {
      const vm = core.vms.get(id);
      if (!vm || vm.state !== state.active || vm.lcm !== from) return;
      const moved = change(vm, core.seconds());
      if (moved.state === state.done) releaseOfVm(core, id);
      core.vms.put(moved);
    });
  }

  /** A reboot leaves the state as it is; only its failure shows. */
  reboot(id: number, hard: boolean): void {
    const { core, driver, transaction } = this.#surroundings;
    this.#rebooting.add(id);
    const over = Promise.resolve().then(() => driver.reboot(id, { hard }));
    over
      .catch((error: unknown) => {
        if (this.#closed) return;
        transaction(() => {
          const vm = core.vms.get(id);
          if (vm) core.vms.put(withError(vm, core.seconds(), `REBOOT: ${messageOf(error)}`));
        });
      })
      .finally(() => this.#rebooting.delete(id));
  }

  isRebooting(id: number): boolean {
    return this.#rebooting.has(id);
  }

  /** Whether this process has started the action that the VM's state waits for. */
  isUnderWay(id: number): boolean {
    return this.#underWay.has(id);
  }

  close(): void {
    this.#closed = true;
    this.#underWay.clear();
  }
}
