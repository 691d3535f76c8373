import type { Clock } from '@oneflower/contract';
import type { Accounts } from './accounts.ts';
import { errno, RequestError } from './errors.ts';
import type { Capacity, Datastore, Host, Image, Lease, Network } from './infrastructure.ts';
import type { Document, VmTemplate } from './model.ts';
import type { Store, Table } from './store.ts';
import type { Template } from './template/attributes.ts';
import { parseTemplate, TemplateError } from './template/parse.ts';
import type { Vm } from './vm/model.ts';

/** What all kinds of objects share. */
export interface Core {
  readonly store: Store;
  readonly clock: Clock;
  readonly accounts: Accounts;
  readonly documents: Table<Document>;
  readonly templates: Table<VmTemplate>;
  readonly networkTemplates: Table<VmTemplate>;
  readonly networks: Table<Network>;
  readonly leases: Table<Lease>;
  readonly images: Table<Image>;
  readonly datastores: Table<Datastore>;
  readonly hosts: Table<Host>;
  readonly vms: Table<Vm>;
  /** What every host of this cloud has. */
  readonly capacity: Capacity;
  /** ONEGATE_ENDPOINT of the guests. */
  readonly gateEndpoint: string;
  /** Seconds since the epoch. */
  seconds(): number;
  /** The number of the current request, as locks and history records show it. */
  requestId(): number;
  /** Runs `work` as a transaction of its own, a little after this one: what a driver needs a moment for. */
  later(work: () => void): void;
  /** Has the scheduler look at the waiting VMs again. */
  reschedule(): void;
  /** Tells the listeners, once this transaction is committed, that a VM's USER_TEMPLATE was written. */
  announceUpdate(vmId: number, text: string): void;
}

/** A template from a request; a text that does not parse is refused with that error number. */
export function readTemplate(text: string, code: number = errno.internal): Template {
  try {
    return parseTemplate(text);
  } catch (error) {
    if (error instanceof TemplateError) throw new RequestError(code, error.message);
    throw error;
  }
}

const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** A time as oned writes it in front of ERROR and SCHED_MESSAGE: `Mon Nov 23 17:03:03 2026`. */
export function dateText(seconds: number): string {
  const date = new Date(seconds * 1000);
  const two = (value: number): string => String(value).padStart(2, '0');
  const clock = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
  const day = String(date.getUTCDate()).padStart(2, ' ');
  return `${days[date.getUTCDay()]} ${months[date.getUTCMonth()]} ${day} ${clock} ${date.getUTCFullYear()}`;
}
