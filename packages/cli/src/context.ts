import type { Clock, Framework } from '@oneflower/contract';
import type { Environment } from '@oneflower/control';
import type { Notify as SoftwareNotify } from './runtime/index.ts';

/** Where a command writes. */
export interface Output {
  write(text: string): void;
  /** A person looks at it: live progress and colours make sense. */
  terminal: boolean;
  /** Characters in a line. */
  columns: number;
}

/** What guests of the embedded cloud run; see `runtime/`. */
export interface GuestSoftware {
  software: string;
  agentBundle: string;
  releases: string;
  flowerUser: string;
}

/** Everything outside that a command touches, handed in. */
export interface CliContext {
  stdout: Output;
  stderr: Output;
  environment: Environment;
  /** Folder that relative paths start from. */
  folder: string;
  clock: Clock;
  /** Aborted when the person interrupts. */
  signal: AbortSignal;
  /** Brings together what guests of the embedded cloud run. */
  ensureSoftware(notify: SoftwareNotify): Promise<GuestSoftware>;
  /** Sees to it that guests with a software folder find the Python environment of a framework. */
  ensureFramework(framework: Framework, software: string, notify: SoftwareNotify): Promise<void>;
  /** An interpreter that can carry Flower; throws when there is none. */
  findPython(): Promise<{ file: string; release: string }>;
}

/** What a command line is run with: the machine's own clock when none is handed in. */
export type Surroundings = Omit<CliContext, 'clock'> & { clock?: Clock };
