import type { Clock, StateRequest } from '@oneflower/contract';
import type { ControlApi, FlowerNode } from '../flower-control/index.ts';
import type { NodeRecord } from './records.ts';
import type { SiteOptions } from './types.ts';

/** A node of which nothing was heard for so long is away. */
const awayMs = 60_000;
/** A node of which nothing was heard for so long may lose its partition to one that has none. */
const forsakenMs = 15 * 60_000;
/** Flower's list is asked for at most this often by nodes that wait to be online. */
const freshMs = 1000;

interface Heard {
  at: number;
  state: StateRequest;
  /** When the phase became `running`; orders nodes where Flower knows no keys. */
  runningSince: number;
}

/** What is known of who is there: by the nodes' own word, and by Flower's list. */
export class Liveness {
  readonly #clock: Clock;
  readonly #control: ControlApi;
  readonly #tls: boolean;
  readonly #heard = new Map<string, Heard>();
  readonly #startedAt: number;
  #online: FlowerNode[] = [];
  #listedAt = Number.NEGATIVE_INFINITY;
  #listing: Promise<FlowerNode[]> | undefined;

  constructor({ clock, control, tls }: Pick<SiteOptions, 'clock' | 'control' | 'tls'>) {
    this.#clock = clock;
    this.#control = control;
    this.#tls = tls;
    this.#startedAt = clock.now();
  }

  /** Nodes that Flower had online when it was last asked. */
  get online(): readonly FlowerNode[] {
    return this.#online;
  }

  /** Takes a node's own word. */
  hear(publicKey: string, state: StateRequest): void {
    const at = this.#clock.now();
    const before = this.#heard.get(publicKey);
    const runs = before?.state.phase === 'running' && state.phase === 'running';
    this.#heard.set(publicKey, { at, state, runningSince: runs ? before.runningSince : at });
  }

  forget(publicKey: string): void {
    this.#heard.delete(publicKey);
  }

  lastHeard({ publicKey }: NodeRecord): Heard | undefined {
    return this.#heard.get(publicKey);
  }

  /** Milliseconds of silence; what was said to an earlier life of this agent counts as said when it started. */
  silence({ publicKey }: NodeRecord): number {
    return this.#clock.now() - (this.#heard.get(publicKey)?.at ?? this.#startedAt);
  }

  isAway(record: NodeRecord): boolean {
    return this.silence(record) >= awayMs;
  }

  isForsaken(record: NodeRecord): boolean {
    return this.silence(record) >= forsakenMs && !this.#isListed(record);
  }

  /** Asks Flower; those who ask at the same time share the answer. */
  async list(): Promise<FlowerNode[]> {
    this.#listing ??= this.#control.listNodes().finally(() => {
      this.#listing = undefined;
    });
    const nodes = await this.#listing;
    this.#online = nodes.filter(({ status }) => status === 'online');
    this.#listedAt = this.#clock.now();
    return nodes;
  }

  /** The same, unless it was asked only a moment ago. */
  async listIfOld(): Promise<void> {
    if (this.#clock.now() - this.#listedAt >= freshMs) await this.list();
  }

  /**
   * Whether a node is online. Without TLS Flower knows no keys: then as many of the nodes that say they run are taken
   * to be online as Flower lists, the longest running first.
   */
  isOnline(record: NodeRecord, records: readonly NodeRecord[]): boolean {
    if (this.#tls) return this.#isListed(record);
    const running = records
      .filter(candidate => !this.isAway(candidate) && this.#heard.get(candidate.publicKey)?.state.phase === 'running')
      .sort((a, b) => this.#runningSince(a) - this.#runningSince(b));
    return running.slice(0, this.#online.length).some(({ publicKey }) => publicKey === record.publicKey);
  }

  #isListed({ nodeId }: NodeRecord): boolean {
    return nodeId !== null && this.#online.some(node => node.nodeId === nodeId);
  }

  #runningSince({ publicKey }: NodeRecord): number {
    return this.#heard.get(publicKey)?.runningSince ?? 0;
  }
}
