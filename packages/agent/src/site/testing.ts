import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EnrolRequest, type EnrolResponse, FakeClock, OneFlowerError } from '@oneflower/contract';
import type { ControlApi, FlowerNode } from '../flower-control/index.ts';
import { openSshPublicKey } from '../node-key.ts';
import { createSite, createSiteClient, type Site, type SiteClient, type SiteOptions } from './index.ts';

export const joinToken = 'join-token-of-the-service';
/** What a node says that is well. */
export const running = { phase: 'running', restarts: 0, error: null } as const;

export function newPublicKey(): string {
  return openSshPublicKey(createPublicKey(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey));
}

/** Flower's book of nodes in memory, with Flower's rules: a key once, and never again after it was unregistered. */
export interface NodeBook extends ControlApi {
  nodes: FlowerNode[];
  down: boolean;
  setOnline(nodeIds: readonly string[]): void;
}

export function createNodeBook(): NodeBook {
  const nodes: FlowerNode[] = [];
  let next = 9_007_199_254_740_993n;
  const dates = { registeredAt: '', lastActivatedAt: '', lastDeactivatedAt: '', unregisteredAt: '' };
  const book: NodeBook = {
    nodes,
    down: false,
    setOnline(nodeIds) {
      for (const node of nodes.filter(({ status }) => status !== 'unregistered')) {
        node.status = nodeIds.includes(node.nodeId) ? 'online' : 'offline';
      }
    },
    async registerNode(publicKey, name) {
      assertUp(book);
      if (nodes.some(node => node.publicKey === publicKey)) throw fail('flower-key-known');
      const nodeId = String(next++);
      nodes.push({ nodeId, publicKey, name, status: 'registered', ...dates });
      return nodeId;
    },
    async unregisterNode(nodeId) {
      assertUp(book);
      const node = nodes.find(candidate => candidate.nodeId === nodeId && candidate.status !== 'unregistered');
      if (!node) throw fail('flower-node-unknown');
      node.status = 'unregistered';
    },
    async listNodes() {
      assertUp(book);
      return nodes.map(node => ({ ...node }));
    },
    listRuns: async () => [],
    stopRun: async () => undefined,
    async *streamLogs() {},
    health: async () => !book.down,
    close: async () => undefined,
  };
  return book;
}

function assertUp({ down }: NodeBook): void {
  if (down) throw fail('flower-unreachable');
}

function fail(code: string): OneFlowerError {
  return new OneFlowerError({ code, message: code });
}

/** A node that asks to be enrolled, with a key of its own. */
export function node(changed: Partial<EnrolRequest> = {}): EnrolRequest {
  return { name: 'n', publicKey: newPublicKey(), flowerVersion: '1.41.3', vmId: null, partitionId: null, ...changed };
}

/** A site with its state in a folder, behind a server on loopback. */
export class SiteStage {
  readonly folder: string;
  readonly clock = new FakeClock();
  readonly book = createNodeBook();
  readonly events: [string, unknown][] = [];
  readonly warnings: string[] = [];
  /** The VMs that OneGate lists; undefined is no OneGate. */
  vms: ReadonlySet<number> | undefined;
  /** How many nodes the service should have, while OneGate tells. */
  cardinality = 3;
  readonly #server = http.createServer((request, response) => this.site.handle(request, response));
  #site: Site | undefined;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(): Promise<SiteStage> {
    const stage = new SiteStage(await mkdtemp(join(tmpdir(), 'agent-site-')));
    await once(stage.#server.listen(0, '127.0.0.1'), 'listening');
    await stage.start();
    return stage;
  }

  get site(): Site {
    if (!this.#site) throw new Error('The site has not been started');
    return this.#site;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Starts the site, or another life of it with the state on disk. */
  async start(changed: Partial<SiteOptions> = {}): Promise<void> {
    this.#site = await createSite({
      stateFile: join(this.folder, 'site.json'),
      joinToken,
      flowerVersion: '1.41.0',
      tls: true,
      control: this.book,
      clock: this.clock,
      nodeRole: async () => this.vms && { cardinality: this.cardinality, vmIds: this.vms },
      fewestNodes: 3,
      emit: (event, data) => this.events.push([event, data]),
      warn: message => this.warnings.push(message),
      ...changed,
    });
  }

  client(token = joinToken): SiteClient {
    return createSiteClient({ endpoint: { host: '127.0.0.1', port: this.port }, joinToken: token });
  }

  async enrolAll(nodes: readonly EnrolRequest[]): Promise<EnrolResponse[]> {
    const answers: EnrolResponse[] = [];
    for (const request of nodes) answers.push(await this.client().enrol(request));
    return answers;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
