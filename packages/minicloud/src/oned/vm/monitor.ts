import type { VmDriver } from '../../interfaces.ts';
import type { Core } from '../core.ts';
import { withLastRecord } from './model.ts';
import { action, lcm, state } from './states.ts';
import { inState } from './transitions.ts';

/**
 * Looks once at every guest that should be there. One that is gone is off: a real host's monitoring says the
 * same of a guest whose process ended.
 */
export async function lookAtGuests(
  core: Core,
  driver: VmDriver,
  transaction: (work: () => void) => void,
  isClosed: () => boolean,
): Promise<void> {
  for (const id of [...core.vms.lookup('lcm', lcm.running)]) {
    const before = core.vms.get(id);
    const there = await driver.isRunning(id).catch(() => true);
    if (isClosed()) return;
    if (there) continue;
    transaction(() => {
      const vm = core.vms.get(id);
      // Only a VM that has not moved since it was looked at.
      if (!vm || vm.state !== state.active || vm.lcm !== lcm.running || !sameStay(vm.history, before?.history)) return;
      core.vms.put(withLastRecord(inState(vm, state.poweroff), { runEnd: core.seconds(), action: action.poweroff }));
    });
  }
}

function sameStay(
  now: readonly { seq: number; runStart: number }[],
  then?: readonly { seq: number; runStart: number }[],
): boolean {
  const [a, b] = [now.at(-1), then?.at(-1)];
  return a?.seq === b?.seq && a?.runStart === b?.runStart;
}
