import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { OneFlowerError } from '@oneflower/contract';
import type { ControlApi, FlowerNode } from '../flower-control/index.ts';
import { openSshPublicKey } from '../node-key.ts';

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
