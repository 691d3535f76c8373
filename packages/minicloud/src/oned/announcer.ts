import type { VmEvent } from '../interfaces.ts';
import type { Table } from './store.ts';
import type { Vm } from './vm/model.ts';

/**
 * Turns committed changes of VMs into events. Listeners are called after the commit, one event after the other:
 * a listener that makes further changes finds its own events behind those that wait.
 */
export class Announcer {
  readonly #listeners = new Set<(event: VmEvent) => void>();
  readonly #queue: VmEvent[] = [];
  readonly #onError: (error: unknown) => void;
  #updates: { vmId: number; text: string }[] = [];
  #busy = false;

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  listen(listener: (event: VmEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Notes an update of the transaction under way. */
  update(vmId: number, text: string): void {
    this.#updates.push({ vmId, text });
  }

  /** The VMs whose state the transaction under way changes; to be asked before it commits. */
  changed(vms: Table<Vm>): Vm[] {
    const changed: Vm[] = [];
    for (const [id, vm] of vms.staged()) {
      const before = vms.committed(id);
      if (vm && (before?.state !== vm.state || before.lcm !== vm.lcm)) changed.push(vm);
    }
    return changed;
  }

  /** The transaction is committed: tells the listeners. */
  announce(changed: readonly Vm[], vms: Table<Vm>): void {
    for (const vm of changed) this.#queue.push({ kind: 'state', vmId: vm.id, state: vm.state, lcmState: vm.lcm });
    for (const { vmId, text } of this.#updates) {
      const vm = vms.get(vmId);
      if (vm) this.#queue.push({ kind: 'update', vmId, state: vm.state, lcmState: vm.lcm, text });
    }
    this.#updates = [];
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let event = this.#queue.shift(); event; event = this.#queue.shift()) {
        for (const listener of [...this.#listeners]) this.#tell(listener, event);
      }
    } finally {
      this.#busy = false;
    }
  }

  /** A listener's failure is its own: neither the change nor the other listeners suffer. */
  #tell(listener: (event: VmEvent) => void, event: VmEvent): void {
    try {
      listener(event);
    } catch (error) {
      this.#onError(error);
    }
  }

  /** The transaction was undone: nothing is told of it. */
  forget(): void {
    this.#updates = [];
  }
}
