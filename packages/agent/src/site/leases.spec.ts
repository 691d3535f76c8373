import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EnrolRequest, FakeClock, isOneFlowerError } from '@oneflower/contract';
import { type Arbitrary, array, assert, asyncProperty, boolean, constant, integer, oneof, record } from 'fast-check';
import { expect, it } from 'vitest';
import { createSite, createSiteClient, nodeRemoved, type Site } from './index.ts';
import { createNodeBook, newPublicKey } from './testing.ts';

const vm = integer({ min: 0, max: 5 });
const step = oneof(
  record({ do: constant('enrol' as const), vm, given: oneof(constant(null), integer({ min: 0, max: 3 })) }),
  record({ do: constant('leave' as const), vm }),
  record({ do: constant('vanish' as const), vm }),
  record({ do: constant('online' as const), vm, is: boolean() }),
  record({ do: constant('pass' as const), minutes: integer({ min: 1, max: 20 }) }),
  record({ do: constant('restart' as const) }),
  record({ do: constant('blind' as const), is: boolean() }),
  record({ do: constant('scale' as const), to: integer({ min: 1, max: 6 }) }),
  record({ do: constant('train' as const), is: boolean() }),
);

/** Which VMs a scale-down leaves. */
const leftVms = array(boolean(), { minLength: 6, maxLength: 6 });

type Step = typeof step extends Arbitrary<infer T> ? T : never;

interface Guest {
  publicKey: string;
  token: string | undefined;
  exists: boolean;
  online: boolean;
}

/** A site with six VMs that do what they like. */
class World {
  readonly clock = new FakeClock();
  readonly book = createNodeBook();
  readonly guests: Guest[] = Array.from({ length: 6 }, newGuest);
  readonly #folder: string;
  readonly #server: http.Server;
  #site: Site | undefined;
  #blind = false;
  #training = false;
  #cardinality = 3;
  /** By key, what the operator gave the node when it enrolled last. */
  readonly #given = new Map<string, number | null>();

  constructor(folder: string) {
    this.#folder = folder;
    this.#server = http.createServer((request, response) => this.site.handle(request, response)).listen(0, '127.0.0.1');
  }

  get site(): Site {
    if (!this.#site) throw new Error('not started');
    return this.#site;
  }

  async start(): Promise<void> {
    this.#site = await createSite({
      stateFile: join(this.#folder, 'site.json'),
      joinToken: 'token',
      flowerVersion: '1.41.0',
      tls: true,
      control: this.book,
      clock: this.clock,
      nodeRole: async () => (this.#blind ? undefined : { cardinality: this.#cardinality, vmIds: this.#vms() }),
      fewestNodes: 2,
      emit: () => undefined,
      warn: message => expect(message).not.toContain('damaged'),
    });
    this.#site.setTraining(this.#training);
  }

  async perform(action: Step): Promise<void> {
    if (action.do === 'enrol') await this.#enrol(action.vm, action.given);
    if (action.do === 'leave') await this.#leave(action.vm);
    if (action.do === 'vanish') this.guests[action.vm] = { ...newGuest(), exists: false };
    if (action.do === 'online') this.#setOnline(action.vm, action.is);
    if (action.do === 'pass') await this.clock.advance(action.minutes * 60_000);
    if (action.do === 'restart') await this.start();
    if (action.do === 'blind') this.#blind = action.is;
    if (action.do === 'scale') this.#cardinality = action.to;
    if (action.do === 'train') this.#train(action.is);
    const before = this.#leases();
    await this.site.refresh();
    if (this.#training) expect(before).toMatchObject(this.#leases());
  }

  /** All come, and the service is scaled to those that are left: then no lease that could be lower is beyond their number. */
  async scaleDown(left: readonly boolean[]): Promise<void> {
    for (const vmId of left.keys()) await this.#enrol(vmId, null);
    for (const [vmId, stays] of left.entries()) if (!stays) this.guests[vmId] = { ...newGuest(), exists: false };
    this.#cardinality = left.filter(Boolean).length;
    this.#blind = false;
    this.#train(false);
    for (let look = 0; look < 3; look++) {
      await this.clock.advance(30_000);
      await this.site.refresh();
    }
    const count = Math.max(2, this.#cardinality);
    const leases = this.#leases();
    for (const { partition } of this.site.nodes())
      expect(partition?.of).toBe(Math.max(count, ...Object.values(leases).map(id => (id ?? 0) + 1)));
    const held = new Set(Object.values(leases));
    for (const { nodeId, publicKey } of this.book.nodes) {
      const lease = leases[nodeId];
      const given = this.#given.get(publicKey);
      if (typeof given === 'number' && lease !== undefined) expect(lease).toBe(given);
      else for (let id = 0; lease !== undefined && lease >= count && id < lease; id++) expect(held).toContain(id);
    }
  }

  /** What holds always. */
  check(): void {
    const nodes = this.site.nodes();
    const ids = nodes.map(({ partition }) => partition?.id ?? -1);
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(nodes.map(({ partition }) => partition?.of)).size).toBeLessThanOrEqual(1);
    for (const { partition, nodeId } of nodes) {
      expect(partition?.of).toBeGreaterThanOrEqual(Math.max(2, ...ids.map(id => id + 1)));
      expect(partition?.of).toBeLessThanOrEqual(Math.max(6, ...ids.map(id => id + 1)));
      expect(this.book.nodes.find(node => node.nodeId === nodeId)?.status).not.toBe('unregistered');
    }
  }

  #train(is: boolean): void {
    this.#training = is;
    this.site.setTraining(is);
  }

  /** Partition by Flower's id of the node. */
  #leases(): Record<string, number | undefined> {
    return Object.fromEntries(this.site.nodes().map(({ nodeId, partition }) => [nodeId, partition?.id]));
  }

  async end(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #vms(): Set<number> {
    return new Set([99, ...this.guests.flatMap(({ exists }, vmId) => (exists ? [vmId] : []))]);
  }

  #client() {
    const { port } = this.#server.address() as AddressInfo;
    return createSiteClient({ endpoint: { host: '127.0.0.1', port }, joinToken: 'token' });
  }

  async #enrol(vmId: number, partitionId: number | null): Promise<void> {
    const guest = this.guests[vmId] ?? newGuest();
    guest.exists = true;
    const before = this.#recordOf(guest);
    const { publicKey } = guest;
    const request: EnrolRequest = { name: `vm-${vmId}`, publicKey, flowerVersion: '1.41.0', vmId, partitionId };
    try {
      const answer = await this.#client().enrol(request);
      guest.token = answer.nodeToken;
      this.#given.set(guest.publicKey, partitionId);
      if (partitionId !== null) expect(answer.partition.id).toBe(partitionId);
      else if (before) expect(answer.partition.id).toBe(before.partition?.id);
      expect(answer.partition.id).toBeLessThan(answer.partition.of);
    } catch (error) {
      if (!isOneFlowerError(error)) throw error;
      if (error.details.refusal === nodeRemoved) this.guests[vmId] = newGuest();
      else expect([partitionId === null, error.details.refusal]).toEqual([false, 'partition-taken']);
    }
  }

  async #leave(vmId: number): Promise<void> {
    const guest = this.guests[vmId];
    if (guest?.token === undefined) return;
    await this.#client()
      .leave(guest.token)
      .catch(() => undefined);
    expect(this.#recordOf(guest)).toBeUndefined();
  }

  #setOnline(vmId: number, is: boolean): void {
    const guest = this.guests[vmId];
    if (guest) guest.online = is;
    const keys = new Set(this.guests.filter(({ online }) => online).map(({ publicKey }) => publicKey));
    this.book.setOnline(this.book.nodes.filter(({ publicKey }) => keys.has(publicKey)).map(({ nodeId }) => nodeId));
  }

  #recordOf({ publicKey }: Guest) {
    const nodeId = this.book.nodes.find(node => node.publicKey === publicKey)?.nodeId;
    return this.site.nodes().find(node => node.nodeId === nodeId);
  }
}

function newGuest(): Guest {
  return { publicKey: newPublicKey(), token: undefined, exists: true, online: false };
}

it('no two nodes ever share a partition, and a node keeps its own, whatever happens', { timeout: 60_000 }, async () => {
  const property = asyncProperty(array(step, { minLength: 3, maxLength: 25 }), leftVms, async (steps, left) => {
    const folder = await mkdtemp(join(tmpdir(), 'agent-leases-'));
    const world = new World(folder);
    try {
      await world.start();
      for (const action of steps) {
        await world.perform(action);
        world.check();
      }
      await world.scaleDown(left);
      world.check();
    } finally {
      await world.end();
      await rm(folder, { recursive: true, force: true });
    }
  });
  await assert(property, { numRuns: 40 });
});
