import { createHash, randomBytes } from 'node:crypto';
import {
  type EnrolRequest,
  type EnrolResponse,
  isOneFlowerError,
  largestPartition,
  messageOf,
  type NodeStatus,
  type Partition,
  type StateRequest,
  type StateResponse,
} from '@oneflower/contract';
import { parseOpenSshPublicKey } from '../node-key.ts';
import { chooseLease, partitionOf, withoutGaps } from './leases.ts';
import { Liveness } from './liveness.ts';
import { isHeldByAnotherVm, isReplaced } from './membership.ts';
import { loadState, type NodeRecord, type SiteState, saveState } from './records.ts';
import { keyInUse, nodeRemoved, refuse } from './refusals.ts';
import { ServiceView } from './service-view.ts';
import type { SiteOptions } from './types.ts';

/** Whoever has the join token can enrol any number of keys: there is an end to what is kept of them. */
const mostNodes = largestPartition + 1;

/** The nodes of a site: who is enrolled, who holds which partition. One change at a time, on disk before it is told. */
export class Enrolment {
  readonly liveness: Liveness;
  training = false;
  readonly #options: SiteOptions;
  #state: SiteState;
  #turn: Promise<unknown> = Promise.resolve();
  #closed = false;
  #joined = new Map<string, string | null>();
  readonly #service: ServiceView;

  static async load(options: SiteOptions): Promise<Enrolment> {
    const enrolment = new Enrolment(options, await loadState(options.stateFile, options.clock, options.warn));
    await enrolment.#service.liveVmIds();
    return enrolment;
  }

  private constructor(options: SiteOptions, state: SiteState) {
    this.#options = options;
    this.#state = state;
    this.#service = new ServiceView(options);
    this.liveness = new Liveness(options);
  }

  /** Enrols a node; asking again gives the same id and partition, and another token. */
  enrol(request: EnrolRequest): Promise<EnrolResponse> {
    return this.#inTurn(async () => {
      this.#assertFits(request);
      const state = structuredClone(this.#state);
      const own = state.nodes.find(({ publicKey }) => publicKey === request.publicKey);
      if (!own && state.nodes.length >= mostNodes) {
        throw refuse('partition-taken', `This SuperLink has ${mostNodes} nodes, which is the most that it takes.`);
      }
      const known = await this.#askFlower(request);
      const vms = await this.#service.liveVmIds();
      const presence = { liveness: this.liveness, nodes: this.#state.nodes, vms };
      if (own && isHeldByAnotherVm(own, request, presence)) throw keyInUse(own);
      drop(
        state,
        state.nodes.filter(record => record !== own && isReplaced(record, request, presence)),
      );
      const others = state.nodes.filter(record => record !== own);
      const lease = this.#chooseLease(request, own, others, vms);
      if (lease.takenFrom) drop(state, [lease.takenFrom]);
      // Last, as it stays: Flower never accepts a key again that it is told to forget.
      const nodeId = known ?? (await this.#register(request));
      const token = randomBytes(24).toString('base64url');
      const { name, publicKey, vmId } = request;
      const record: NodeRecord = {
        publicKey,
        name,
        vmId,
        vmSeen: vmId !== null && (vms?.has(vmId) ?? (own?.vmId === vmId && own.vmSeen)),
        nodeId,
        partitionId: lease.partitionId,
        given: request.partitionId !== null,
        tokenHash: hash(token),
        enrolledAt: own?.enrolledAt ?? this.#options.clock.now(),
      };
      if (own) drop(state, [own], { keepInFlower: own.nodeId === nodeId });
      state.nodes.push(record);
      await this.#commit(state);
      this.liveness.hear(publicKey, { phase: 'starting', restarts: 0, error: null });
      this.#options.emit('node_enrolled', { node_id: nodeId, name, partition_id: record.partitionId });
      await this.#tellFlower();
      const { flowerVersion } = this.#options;
      return { nodeId, partition: this.#partition(record), nodeToken: token, flowerVersion };
    });
  }

  /** Takes a node's state and says how it is seen from here. */
  async report(token: string, request: StateRequest): Promise<StateResponse> {
    const record = this.#byToken(token);
    this.liveness.hear(record.publicKey, request);
    // Without TLS only nodes that run are told apart in Flower's list.
    if ((this.#options.tls || request.phase === 'running') && !this.liveness.isOnline(record, this.#state.nodes)) {
      await this.liveness.listIfOld().catch(() => undefined);
    }
    const online = this.liveness.isOnline(record, this.#state.nodes);
    return { online, training: this.training, partition: this.#partition(record) };
  }

  /** A node leaves for good: its lease is free, and Flower never accepts its key again. */
  leave(token: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#remove([this.#byToken(token)]);
    });
  }

  /** See {@link Site.refresh}. */
  async refresh(): Promise<void> {
    await this.liveness.list();
    this.#tellComingsAndGoings();
    await this.#inTurn(async () => {
      await this.#followService();
      await this.#tellFlower();
    });
  }

  /** Ends all changes; those under way are finished first. What comes later is to be asked of a successor. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#turn;
  }

  nodes(): NodeStatus[] {
    return this.#state.nodes.map(record => this.#statusOf(record)).sort((a, b) => a.name.localeCompare(b.name));
  }

  #statusOf(record: NodeRecord): NodeStatus {
    const heard = this.liveness.lastHeard(record);
    return {
      nodeId: record.nodeId,
      name: record.name,
      vmId: record.vmId,
      partition: this.#partition(record),
      online: this.liveness.isOnline(record, this.#state.nodes),
      phase: this.liveness.isAway(record) ? 'away' : (heard?.state.phase ?? 'starting'),
      error: heard?.state.error ?? null,
      lastSeen: new Date(heard?.at ?? record.enrolledAt).toISOString(),
    };
  }

  #assertFits({ flowerVersion, publicKey }: EnrolRequest): void {
    const ours = this.#options.flowerVersion;
    if (minorOf(flowerVersion) !== minorOf(ours)) {
      throw refuse('flower-version-differs', `The node runs Flower ${flowerVersion}, the SuperLink ${ours}.`);
    }
    if (!parseOpenSshPublicKey(publicKey)) throw refuse('bad-request', 'The public key is not valid.');
  }

  /** Under which id Flower knows the key already (an answer that was lost, a damaged state). */
  async #askFlower({ publicKey }: EnrolRequest): Promise<string | undefined> {
    const nodes = await this.liveness.list().catch(notNow);
    const known = this.#options.tls ? nodes.find(node => node.publicKey === publicKey) : undefined;
    if (known?.status === 'unregistered') throw refuse(nodeRemoved, 'This key was removed from Flower for good.');
    return known?.nodeId;
  }

  async #register({ publicKey, name }: EnrolRequest): Promise<string | null> {
    const { tls, control } = this.#options;
    return tls ? await control.registerNode(publicKey, name).catch(notNow) : null;
  }

  #chooseLease(
    { partitionId: wanted }: EnrolRequest,
    own: NodeRecord | undefined,
    others: readonly NodeRecord[],
    vms: ReadonlySet<number> | undefined,
  ) {
    const expectedNodes = this.#expectedNodes;
    // Of a VM that OneGate still lists, silence proves nothing.
    const isForsaken = (record: NodeRecord) =>
      this.liveness.isForsaken(record) && !(record.vmId !== null && vms?.has(record.vmId));
    const lease = chooseLease({ wanted, own, others, expectedNodes, isForsaken });
    if (!lease) throw refuse('partition-taken', `Partition ${wanted} is held by another node.`);
    return lease;
  }

  get #expectedNodes(): number {
    return Math.max(this.#options.fewestNodes, this.#service.cardinality);
  }

  async #followService(): Promise<void> {
    const vms = await this.#service.liveVmIdsIfDue();
    if (!vms) return;
    await this.#noteSeen(vms);
    const gone = this.#service.goneOf(this.#state.nodes, vms);
    for (const { name, vmId } of gone)
      this.#options.warn(`Node ${name} is removed: its VM ${vmId} does not exist any more.`);
    if (gone.length > 0) await this.#remove(gone);
    // In a run nobody's data changes.
    if (this.training) return;
    const nodes = withoutGaps(this.#state.nodes, this.#expectedNodes);
    if (nodes !== this.#state.nodes) await this.#commit({ ...this.#state, nodes: [...nodes] });
  }

  async #noteSeen(vms: ReadonlySet<number>): Promise<void> {
    const isNew = ({ vmId, vmSeen }: NodeRecord) => !vmSeen && vmId !== null && vms.has(vmId);
    if (!this.#state.nodes.some(isNew)) return;
    const nodes = this.#state.nodes.map(record => (isNew(record) ? { ...record, vmSeen: true } : record));
    await this.#commit({ ...this.#state, nodes });
  }

  async #remove(records: readonly NodeRecord[]): Promise<void> {
    const state = structuredClone(this.#state);
    const keys = new Set(records.map(({ publicKey }) => publicKey));
    drop(
      state,
      state.nodes.filter(({ publicKey }) => keys.has(publicKey)),
    );
    await this.#commit(state);
    await this.#tellFlower();
  }

  /** On disk first: what a node was told is true after a crash, too. */
  async #commit(state: SiteState): Promise<void> {
    await saveState(this.#options.stateFile, state);
    const kept = new Set(state.nodes.map(({ publicKey }) => publicKey));
    for (const { publicKey } of this.#state.nodes) if (!kept.has(publicKey)) this.liveness.forget(publicKey);
    this.#state = state;
  }

  /** Takes removed nodes off Flower; what fails is tried again at the next refresh. */
  async #tellFlower(): Promise<void> {
    const done = new Set<string>();
    for (const nodeId of this.#state.removals) {
      try {
        await this.#options.control.unregisterNode(nodeId);
        done.add(nodeId);
      } catch (error) {
        if (isOneFlowerError(error) && error.code === 'flower-node-unknown') done.add(nodeId);
        else break;
      }
    }
    if (done.size === 0) return;
    await this.#commit({ ...this.#state, removals: this.#state.removals.filter(nodeId => !done.has(nodeId)) });
  }

  #tellComingsAndGoings(): void {
    const names = new Map(this.#state.nodes.map(({ nodeId, name }) => [nodeId, name]));
    const now = new Map(this.liveness.online.map(({ nodeId }) => [nodeId, names.get(nodeId) ?? null]));
    const before = this.#joined;
    this.#joined = now;
    for (const [nodeId, name] of before) {
      if (!now.has(nodeId)) this.#options.emit('client_leave', { node_id: nodeId, name });
    }
    for (const [nodeId, name] of now) {
      if (!before.has(nodeId)) this.#options.emit('client_join', { node_id: nodeId, name });
    }
  }

  #partition({ partitionId }: NodeRecord): Partition {
    return partitionOf(partitionId, this.#state.nodes, this.#expectedNodes);
  }

  /** Tokens are found by their hash, so the time it takes tells nothing about them. */
  #byToken(token: string): NodeRecord {
    const tokenHash = hash(token);
    const record = this.#state.nodes.find(candidate => candidate.tokenHash === tokenHash);
    if (!record) throw refuse('node-token-refused', 'This token is not that of an enrolled node.');
    return record;
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(refuse('not-ready', 'The enrolments are being opened anew.'));
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

function drop(state: SiteState, records: readonly NodeRecord[], { keepInFlower = false } = {}): void {
  state.nodes = state.nodes.filter(record => !records.includes(record));
  if (keepInFlower) return;
  state.removals.push(...records.flatMap(({ nodeId }) => (nodeId === null ? [] : [nodeId])));
}

function notNow(error: unknown): never {
  throw refuse('not-ready', `Flower cannot register the node now: ${messageOf(error)}`);
}

function minorOf(version: string): string {
  return version.split('.').slice(0, 2).join('.');
}

function hash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
