import type { Announcer } from './announcer.ts';
import type { Store, Table } from './store.ts';
import type { Vm } from './vm/model.ts';

/** Requests are numbered in history records and locks; the numbers come round again. */
const numbers = 10_000;

/** Runs requests as transactions, and what follows from each once it is committed: events, then the next steps of VMs. */
export class Transactions {
  readonly #store: Store;
  readonly #announcer: Announcer;
  readonly #vms: Table<Vm>;
  /** The number of the current request. */
  number = 0;
  /** Called for each VM that a committed transaction brought into another state. */
  onCommit: (vm: Vm) => void = () => undefined;

  constructor(store: Store, announcer: Announcer, vms: Table<Vm>) {
    this.#store = store;
    this.#announcer = announcer;
    this.#vms = vms;
  }

  /** One transaction; inside another one it is a part of that. Throws what `work` throws, with nothing changed. */
  readonly run = <R>(work: () => R): R => {
    if (this.#store.inTransaction) return work();
    this.number = (this.number + 1) % numbers;
    let changed: Vm[] = [];
    const result = this.#attempt(() => {
      const value = work();
      changed = this.#announcer.changed(this.#vms);
      return value;
    });
    this.#announcer.announce(changed, this.#vms);
    for (const vm of changed) {
      // A listener may have moved the VM on meanwhile; then that move has been followed already.
      const current = this.#vms.get(vm.id);
      if (current?.state === vm.state && current.lcm === vm.lcm) this.onCommit(current);
    }
    return result;
  };

  #attempt<R>(work: () => R): R {
    try {
      return this.#store.transaction(work);
    } catch (error) {
      this.#announcer.forget();
      throw error;
    }
  }
}
