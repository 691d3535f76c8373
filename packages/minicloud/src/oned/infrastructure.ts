import type { Owned } from './model.ts';
import type { Stored } from './store.ts';
import type { Template } from './template/attributes.ts';

/** STATE of a host. */
export const hostState = { init: 0, monitored: 2, disabled: 4 } as const;
/** STATE of an image; USED is not stored but follows from its VMs. */
export const imageState = { ready: 1, used: 2, disabled: 3, locked: 4 } as const;
/** STATE of a network. */
export const networkState = { ready: 1, locked: 2 } as const;

/** A host. */
export interface Host extends Stored {
  readonly name: string;
  readonly state: number;
  readonly imMad: string;
  readonly vmMad: string;
  readonly template: Template;
  /** When it was last measured, seconds; 0 before the first time. */
  readonly monitored: number;
}

/** What a host has: CPU in per cent of one core, memory in KiB, disk in MiB. */
export interface Capacity {
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
}

/** 0 images, 1 system, 2 files. */
export interface Datastore extends Owned {
  readonly type: 0 | 1 | 2;
  readonly enabled: boolean;
}

/** An image. */
export interface Image extends Owned {
  readonly type: number;
  readonly persistent: boolean;
  readonly registered: number;
  readonly modified: number;
  readonly source: string;
  readonly path: string;
  readonly format: string;
  readonly fs: string;
  /** MiB. */
  readonly size: number;
  readonly state: number;
  readonly datastoreId: number;
}

/** A range of addresses. `ip` is undefined for plain Ethernet ranges. */
export interface AddressRange {
  readonly id: number;
  readonly type: string;
  readonly ip?: string;
  readonly mac: string;
  readonly size: number;
  /** Where the search for the next free address starts. */
  readonly next: number;
  /** The parent network's range that a reservation was cut from, and where in it. */
  readonly parent?: { readonly ar: number; readonly index: number };
}

/** A virtual network. */
export interface Network extends Owned {
  readonly state: number;
  readonly ranges: readonly AddressRange[];
  readonly parentId?: number;
  readonly templateId?: number;
}

/** Who holds an address: a VM, a reservation (network), or nobody (held by an operator). */
export interface Lease extends Stored {
  readonly network: number;
  readonly ar: number;
  readonly index: number;
  readonly vm?: number;
  readonly reservation?: number;
}
