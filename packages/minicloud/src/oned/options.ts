import type { Clock } from '@oneflower/contract';
import type { VmDriver } from '../interfaces.ts';
import type { Capacity } from './infrastructure.ts';
import type { GateToken } from './vm/guest.ts';

/** What an embedded oned needs. */
export interface OnedOptions {
  /** The SQLite file with its state; `:memory:` keeps nothing. */
  file: string;
  clock: Clock;
  driver: VmDriver;
  /** The administrator, made when the file is new. */
  admin: { name: string; password: string };
  /** Makes the OneGate token of a VM for its `token.txt`. */
  gateToken?: GateToken;
  /** ONEGATE_ENDPOINT of the guests. */
  onegateEndpoint?: string;
  /** Where this server is reached, as the zone says it. */
  endpoint?: string;
  /** What each host has. */
  capacity?: Capacity;
  /** Milliseconds that hosts, images, networks and the scheduler take. */
  delayMs?: number;
  /** Milliseconds after which the scheduler looks at VMs again that found no room. */
  retryMs?: number;
  /** Milliseconds between two looks at the guests. */
  monitorMs?: number;
  /** Told of errors that no caller hears of: of a listener, or of the disk while a driver's action ends. */
  onError?: (error: unknown) => void;
}
