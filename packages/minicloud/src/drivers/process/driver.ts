import { join } from 'node:path';
import { type Clock, installerVariables } from '@oneflower/contract';
import type { VmDriver } from '../../interfaces.ts';
import { VmFolder } from './folder.ts';
import { type AgentCommand, Guest, type GuestEvent } from './guest.ts';
import { linuxProcesses, type ProcessTable } from './proc.ts';

export interface ProcessDriverOptions {
  /** The cloud's directory; VMs are folders in `vms/` below it. */
  directory: string;
  clock: Clock;
  agentCommand: AgentCommand;
  /** Of it, agents get what packages are installed with (mirror, proxy, CA), for another Flower release; none by default. */
  environment?: Readonly<Record<string, string | undefined>> | undefined;
  processes?: ProcessTable;
  onEvent?: (event: GuestEvent) => void;
}

/** A driver whose VMs are folders, each with an address and an agent process of its own. */
export interface ProcessDriver extends VmDriver {
  /** Ends the supervision and leaves all VMs running, for a later cloud to take over. */
  detach(): void;
}

/** Makes the driver. Agents that an earlier cloud left running are taken over when they are first asked for. */
export function createProcessDriver(options: ProcessDriverOptions): ProcessDriver {
  const guests = new Map<number, Guest>();
  const { agentCommand } = options;
  const env = { ...installerVariables(options.environment ?? {}), ...agentCommand.env };

  function folderOf(vmId: number): VmFolder {
    return new VmFolder(join(options.directory, 'vms', String(vmId)));
  }

  function guestOf(vmId: number): Guest {
    const known = guests.get(vmId);
    if (known) return known;
    const { clock, onEvent, processes = linuxProcesses } = options;
    const guest = new Guest({
      vmId,
      folder: folderOf(vmId),
      clock,
      processes,
      agentCommand: { ...agentCommand, env },
      onEvent,
    });
    guests.set(vmId, guest);
    return guest;
  }

  return {
    name: 'process',
    async deploy(vm) {
      folderOf(vm.id).prepare(vm);
      await guestOf(vm.id).start();
    },
    async shutdown(vmId, { hard }) {
      const guest = guestOf(vmId);
      guest.adopt();
      await guest.stop(hard);
    },
    async reboot(vmId, { hard }) {
      const guest = guestOf(vmId);
      guest.adopt();
      await guest.stop(hard);
      await guest.start();
    },
    async recontext(vm) {
      folderOf(vm.id).prepare(vm);
      const guest = guestOf(vm.id);
      if (guest.adopt()) guest.reload();
    },
    async destroy(vmId) {
      await guestOf(vmId).stop(true);
      guests.delete(vmId);
      folderOf(vmId).remove();
    },
    isRunning: async vmId => guestOf(vmId).adopt(),
    detach() {
      for (const guest of guests.values()) guest.detach();
      guests.clear();
    },
  };
}
