import type { Clock } from '@oneflower/contract';
import type { VmEvent } from '../../interfaces.ts';
import { opensGate } from './attributes.ts';
import type { KnownVm, LiveService, Wait, WaitKind } from './live.ts';
import { hasFailed, isDone, isHeld, isParked, isRunning, isTrouble, type VmCondition } from './states.ts';

/** How often a wait looks at its VMs by itself; a failed VM is noticed only then (OneFlow's `wait_timeout`). */
const RECHECK_MS = 30_000;

const pendingCondition: VmCondition = { state: 1, lcmState: 0 };

export interface WatchOptions {
  clock: Clock;
  /** Whether a VM has written READY=YES, asked at a re-check. */
  isReady(service: LiveService, vmId: number): boolean;
  /** Something of the service is to be worked on. */
  wake(service: LiveService): void;
  /** A VM failed while its role waited for it. */
  failed(service: LiveService, role: string, kind: WaitKind): void;
}

/**
 * All VMs of all services by their ids, and the waits for them. An event costs one look-up, whatever the number of
 * VMs; what follows from it is done once for all events of a moment.
 */
export class VmWatch {
  readonly #options: WatchOptions;
  readonly #vms = new Map<number, KnownVm>();
  /** Events of VMs nobody knows yet, while one is being made: its first events come before its id is known. */
  #early: Map<number, VmEvent> | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Runs `make`, which makes VMs, and keeps their first events for {@link add}. */
  whileMaking<T>(make: () => T): T {
    this.#early = new Map();
    try {
      return make();
    } finally {
      this.#early = undefined;
    }
  }

  add(vmId: number, service: LiveService, role: string, condition?: VmCondition): void {
    const early = this.#early?.get(vmId);
    this.#vms.set(vmId, { service, role, condition: condition ?? early ?? pendingCondition });
  }

  remove(vmIds: Iterable<number>): void {
    for (const vmId of vmIds) this.#vms.delete(vmId);
  }

  conditionOf(vmId: number): VmCondition {
    return this.#vms.get(vmId)?.condition ?? { state: 6, lcmState: 0 };
  }

  roleOf(vmId: number): string | undefined {
    return this.#vms.get(vmId)?.role;
  }

  /** Takes in an event. Nothing is done to the cloud from here: the cloud is in the middle of something. */
  take(event: VmEvent): void {
    const vm = this.#vms.get(event.vmId);
    if (!vm) {
      this.#early?.set(event.vmId, event);
      return;
    }
    vm.condition = { state: event.state, lcmState: event.lcmState };
    const wait = vm.service.waits.get(vm.role);
    if (wait) this.#takeForWait(vm, wait, event);
    else if (event.kind === 'state' && this.#matters(vm)) {
      vm.service.incidents.add(event.vmId);
      this.#options.wake(vm.service);
    }
  }

  /** A VM that runs matters only where one did not; guests that publish their figures all day change nothing. */
  #matters({ service, role, condition }: KnownVm): boolean {
    if (isDone(condition) || isTrouble(condition)) return true;
    return isRunning(condition) && service.body.role(role)?.state === 'WARNING';
  }

  /** Begins to wait for VMs of a role. Those that are there already are not waited for. */
  wait(service: LiveService, role: string, kind: WaitKind, vmIds: Iterable<number>): void {
    service.waits.get(role)?.timer?.cancel();
    const all = new Set(vmIds);
    const wait: Wait = { kind, all, pending: new Set(), timer: undefined };
    for (const vmId of all) if (!this.#isThere(service, kind, vmId)) wait.pending.add(vmId);
    service.waits.set(role, wait);
    if (wait.pending.size > 0) this.#armRecheck(service, role, wait);
    else this.#settle(service, role);
  }

  /**
   * Looks at what a role waits for: the exact question of the gate, VMs that failed, VMs that are gone.
   *
   * @param parkedCounts whether a VM that somebody stopped is no longer waited for
   */
  recheck(service: LiveService, role: string, parkedCounts = true): void {
    const wait = service.waits.get(role);
    if (!wait || wait.pending.size === 0) return;
    let failed = false;
    for (const vmId of wait.pending) {
      const condition = this.conditionOf(vmId);
      if (hasFailed(condition)) failed = true;
      else if (isParked(condition) && !parkedCounts) continue;
      else if (this.#isThereAfterAll(service, wait.kind, vmId, condition)) wait.pending.delete(vmId);
    }
    if (failed) {
      service.waits.delete(role);
      this.#options.failed(service, role, wait.kind);
    } else if (wait.pending.size === 0) this.#settle(service, role);
    else this.#armRecheck(service, role, wait);
  }

  #takeForWait(vm: KnownVm, wait: Wait, event: VmEvent): void {
    if (!wait.pending.has(event.vmId)) return;
    const arrived =
      isUp(wait.kind) && vm.service.body.gated
        ? event.kind === 'update' && opensGate(event.text ?? '')
        : this.#isThere(vm.service, wait.kind, event.vmId);
    if (!arrived) return;
    wait.pending.delete(event.vmId);
    if (wait.pending.size === 0) this.#settle(vm.service, vm.role);
  }

  #isThere(service: LiveService, kind: WaitKind, vmId: number): boolean {
    const condition = this.conditionOf(vmId);
    if (kind === 'hold') return isHeld(condition);
    if (isUp(kind)) return !service.body.gated && isRunning(condition);
    return isDone(condition);
  }

  #isThereAfterAll(service: LiveService, kind: WaitKind, vmId: number, condition: VmCondition): boolean {
    if (isDone(condition)) return true;
    if (!isUp(kind)) return this.#isThere(service, kind, vmId);
    if (isParked(condition)) return true;
    return service.body.gated ? this.#options.isReady(service, vmId) : isRunning(condition);
  }

  #settle(service: LiveService, role: string): void {
    service.waits.get(role)?.timer?.cancel();
    service.settled.add(role);
    this.#options.wake(service);
  }

  #armRecheck(service: LiveService, role: string, wait: Wait): void {
    wait.timer = this.#options.clock.after(RECHECK_MS, () => this.recheck(service, role));
  }
}

function isUp(kind: WaitKind): boolean {
  return kind === 'deploy' || kind === 'scale-up';
}
