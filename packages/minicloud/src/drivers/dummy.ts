import type { DriverVm, VmDriver } from '../interfaces.ts';

/** The actions of a driver that can be made to fail or to wait. */
export type DummyAction = 'deploy' | 'shutdown' | 'reboot' | 'recontext' | 'destroy';

/** A driver whose VMs exist in memory only. */
export interface DummyDriver extends VmDriver {
  /** Lets the next such action fail with that message (of any VM, or of one). */
  failNext(action: DummyAction, message?: string, vmId?: number): void;
  /** Lets such actions wait from now on; what it returns lets them go on. */
  hold(action: DummyAction): () => void;
  /** Ends a guest behind the cloud's back, as a crash of its host process would. */
  kill(vmId: number): void;
  /** Ids of the guests that are there. */
  running(): number[];
  /** The guest's CONTEXT files as last given. */
  contextOf(vmId: number): Record<string, string> | undefined;
}

interface Failure {
  action: DummyAction;
  message: string | undefined;
  vmId: number | undefined;
}

/** Makes the driver for scale and tests: everything succeeds at once unless asked otherwise. */
export function createDummyDriver(options: { hostName?: string } = {}): DummyDriver {
  const guests = new Map<number, DriverVm>();
  const names = new Map<number, string>();
  const held = new Map<DummyAction, { gate: Promise<void>; open: () => void }>();
  const failures: Failure[] = [];

  async function act(action: DummyAction, vmId: number): Promise<void> {
    await held.get(action)?.gate;
    const index = failures.findIndex(
      failure => failure.action === action && (failure.vmId === undefined || failure.vmId === vmId),
    );
    if (index < 0) return;
    const [failure] = failures.splice(index, 1);
    // The words of the recorded dummy driver: host, name and driver of the VM.
    throw new Error(failure?.message ?? `${options.hostName ?? 'host01'}:${names.get(vmId) ?? vmId}:dummy`);
  }

  return {
    name: 'dummy',
    async deploy(vm) {
      names.set(vm.id, vm.name);
      await act('deploy', vm.id);
      guests.set(vm.id, vm);
    },
    async shutdown(vmId) {
      await act('shutdown', vmId);
      guests.delete(vmId);
    },
    async reboot(vmId) {
      await act('reboot', vmId);
    },
    async recontext(vm) {
      await act('recontext', vm.id);
      guests.set(vm.id, vm);
    },
    async destroy(vmId) {
      await act('destroy', vmId);
      guests.delete(vmId);
      names.delete(vmId);
    },
    isRunning: async vmId => guests.has(vmId),
    failNext: (action, message, vmId) => void failures.push({ action, message, vmId }),
    hold(action) {
      let open = (): void => undefined;
      const gate = new Promise<void>(resolve => {
        open = resolve;
      });
      held.set(action, { gate, open });
      return () => {
        held.delete(action);
        open();
      };
    },
    kill: vmId => void guests.delete(vmId),
    running: () => [...guests.keys()],
    contextOf: vmId => guests.get(vmId)?.contextFiles,
  };
}
