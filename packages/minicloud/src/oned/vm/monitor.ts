import type { VmDriver } from '../../interfaces.ts';
import type { Core } from '../core.ts';
import { withLastRecord } from './model.ts';
import { action, lcm, state } from './states.ts';
import { inState } from './transitions.ts';

interface Watch {
  core: Core;
  driver: VmDriver;
  /** Whether the driver is about to end and start the guest: then its absence means nothing. */
  isRebooting(vmId: number): boolean;
  transaction(work: () => void): void;
  isClosed(): boolean;
}

/**
 * Looks once at every guest that should be there. One that is gone is off: a real host's monitoring says the
 * same of a guest whose process ended.
 */
export async function lookAtGuests(watch: Watch): Promise<void> {
  const { core, driver } = watch;
  for (const id of [...core.vms.lookup('lcm', lcm.running)]) {
    const before = core.vms.get(id);
    if (watch.isRebooting(id)) continue;
    const there = await driver.isRunning(id).catch(() => true);
    if (watch.isClosed()) return;
    if (there || watch.isRebooting(id)) continue;
    watch.transaction(() => {
      const vm = core.vms.get(id);
      // A VM that changed while it was looked at is left to the next look.
      if (!vm || vm !== before || vm.state !== state.active || vm.lcm !== lcm.running) return;
      core.vms.put(withLastRecord(inState(vm, state.poweroff), { runEnd: core.seconds(), action: action.poweroff }));
    });
  }
}
