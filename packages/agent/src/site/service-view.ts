import type { Clock } from '@oneflower/contract';
import type { NodeRecord } from './records.ts';
import type { SiteOptions } from './types.ts';

/** How often OneGate is asked unless a node enrols. */
const lookMs = 30_000;

/** What OneGate tells of the service's SuperNodes. */
export class ServiceView {
  readonly #clock: Clock;
  readonly #nodeRole: SiteOptions['nodeRole'];
  #lookedAt: number;
  #cardinality = 0;
  /** VMs that were missing at the last look; missing twice in a row is gone. */
  #missing = new Set<number>();

  constructor({ clock, nodeRole }: Pick<SiteOptions, 'clock' | 'nodeRole'>) {
    this.#clock = clock;
    this.#nodeRole = nodeRole;
    this.#lookedAt = clock.now();
  }

  /** How many SuperNodes the service should have, as last told; 0 before. */
  get cardinality(): number {
    return this.#cardinality;
  }

  /**
   * The VMs of the role that exist. Undefined when that is not known, and when OneGate lists none at all: a node may be
   * here whose VM it does not list yet.
   */
  async liveVmIds(): Promise<ReadonlySet<number> | undefined> {
    const role = await this.#nodeRole().catch(() => undefined);
    if (!role || role.vmIds.size === 0) return undefined;
    this.#cardinality = role.cardinality;
    return role.vmIds;
  }

  /** The same now and then, for those who look often; undefined in between. */
  async liveVmIdsIfDue(): Promise<ReadonlySet<number> | undefined> {
    if (this.#clock.now() - this.#lookedAt < lookMs) return undefined;
    this.#lookedAt = this.#clock.now();
    return await this.liveVmIds();
  }

  /** The nodes whose VMs were listed once and are missing for the second time in a row. */
  goneOf(records: readonly NodeRecord[], vms: ReadonlySet<number>): NodeRecord[] {
    const missing = records.filter(({ vmId, vmSeen }) => vmId !== null && vmSeen && !vms.has(vmId));
    const gone = missing.filter(({ vmId }) => vmId !== null && this.#missing.has(vmId));
    this.#missing = new Set(missing.flatMap(({ vmId }) => (vmId === null ? [] : [vmId])));
    return gone;
  }
}
