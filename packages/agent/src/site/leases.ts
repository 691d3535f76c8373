import type { Partition } from '@oneflower/contract';
import type { NodeRecord } from './records.ts';

export interface LeaseQuestion {
  /** Partition that the operator gave the node; null: any. */
  wanted: number | null;
  /** The node's own record, when it has enrolled before. */
  own: NodeRecord | undefined;
  /** Records of all other nodes that still exist. */
  others: readonly NodeRecord[];
  /** How many nodes share the bundled data at least. */
  expectedNodes: number;
  /** Whether a node has been silent so long that its lease may be taken, nothing else being left. */
  isForsaken(record: NodeRecord): boolean;
}

/** A lease, and whose it was before, if anybody's. */
export interface Lease {
  partitionId: number;
  takenFrom: NodeRecord | undefined;
}

/**
 * Which partition a node gets: the one it was given, the one it had, the lowest that nobody holds, and rather than one
 * beyond the expected number that of a node that has long been silent. Undefined when the partition that it was given
 * is held by another live node.
 */
export function chooseLease({ wanted, own, others, expectedNodes, isForsaken }: LeaseQuestion): Lease | undefined {
  if (wanted !== null) {
    const holder = others.find(({ partitionId }) => partitionId === wanted);
    if (!holder) return { partitionId: wanted, takenFrom: undefined };
    return isForsaken(holder) ? { partitionId: wanted, takenFrom: holder } : undefined;
  }
  if (own) return { partitionId: own.partitionId, takenFrom: undefined };
  const free = lowestFree(others);
  if (free < expectedNodes) return { partitionId: free, takenFrom: undefined };
  const forsaken = others.filter(record => record.partitionId < expectedNodes && isForsaken(record));
  const lowest = forsaken.sort((a, b) => a.partitionId - b.partitionId)[0];
  if (lowest) return { partitionId: lowest.partitionId, takenFrom: lowest };
  return { partitionId: free, takenFrom: undefined };
}

/**
 * The records with leases at or beyond `expectedNodes` moved to lower ones that nobody holds, the highest first: after a
 * scale-down part of the data would be nobody's otherwise. The partitions that the operator gave stay. The same array
 * when nothing moves.
 */
export function withoutGaps(records: readonly NodeRecord[], expectedNodes: number): readonly NodeRecord[] {
  let moved = records;
  const movable = records.filter(({ given, partitionId }) => !given && partitionId >= expectedNodes);
  for (const record of movable.sort((a, b) => b.partitionId - a.partitionId)) {
    const partitionId = lowestFree(moved);
    if (partitionId >= record.partitionId) break;
    moved = moved.map(candidate => (candidate === record ? { ...record, partitionId } : candidate));
  }
  return moved;
}

/** A node's share: `of` grows with the highest lease, so that every id is one of a whole. */
export function partitionOf(id: number, records: readonly NodeRecord[], expectedNodes: number): Partition {
  const highest = Math.max(id, ...records.map(({ partitionId }) => partitionId));
  return { id, of: Math.max(expectedNodes, highest + 1) };
}

function lowestFree(records: readonly NodeRecord[]): number {
  const held = new Set(records.map(({ partitionId }) => partitionId));
  let free = 0;
  while (held.has(free)) free++;
  return free;
}
