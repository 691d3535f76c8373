import type { XmlRpcValue } from '@oneflower/opennebula';

/** What a call to oned comes back with: exactly the array that XML-RPC carries. */
export type OnedAnswer =
  | { ok: true; value: XmlRpcValue }
  | { ok: false; message: string; errno: number; objectId: number };

/** A VM changed: its state moved on, or its USER_TEMPLATE was written. */
export interface VmEvent {
  kind: 'state' | 'update';
  vmId: number;
  state: number;
  lcmState: number;
  /** The text of the update as it was given; only with `update`. OneFlow's readiness gate reads it. */
  text?: string;
}

/**
 * The core as OneFlow and OneGate see it, which is what they see of a real oned: calls with a session
 * (`user:password` or `user:token`), and the stream of VM events.
 */
export interface Oned {
  /** One XML-RPC call; `args` leaves out the session. Never throws for bad input: that is an answer. */
  call(session: string, method: string, ...args: XmlRpcValue[]): OnedAnswer;
  /** Calls `listener` after each committed change of a VM; returns the way to stop it. */
  onVmEvent(listener: (event: VmEvent) => void): () => void;
  /** The VM's creator's TOKEN_PASSWORD and the VM's start time (seconds): what a OneGate token is made from. */
  gateSecret(vmId: number): { tokenPassword: string; startTime: number; ownerSession: string } | undefined;
}

/** A VM as a driver sees it. */
export interface DriverVm {
  id: number;
  name: string;
  /** IP of the first NIC, or undefined when the VM has none. */
  address: string | undefined;
  /** The files of the CONTEXT CD: `context.sh`, and `token.txt` when CONTEXT has TOKEN=YES. */
  contextFiles: Record<string, string>;
}

/**
 * What runs VMs. Each promise settles when the action is over; a rejection is the driver's failure and its
 * message goes into the VM's ERROR attribute.
 */
export interface VmDriver {
  readonly name: string;
  /** Starts the VM (first boot, or again after poweroff). */
  deploy(vm: DriverVm): Promise<void>;
  /** Orderly end of the guest, with the driver's own deadline, forced after it. `hard` skips the asking. */
  shutdown(vmId: number, options: { hard: boolean }): Promise<void>;
  reboot(vmId: number, options: { hard: boolean }): Promise<void>;
  /** Puts a new CONTEXT CD into a running VM. */
  recontext(vm: DriverVm): Promise<void>;
  /** Removes all that is left of a VM that has ended. */
  destroy(vmId: number): Promise<void>;
  /** Whether the guest is there now; asked after a restart of the cloud and by its monitor. */
  isRunning(vmId: number): Promise<boolean>;
}
