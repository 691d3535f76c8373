import { readFile, rename } from 'node:fs/promises';
import { type Clock, messageOf } from '@oneflower/contract';
import * as z from 'zod';
import { writeFileAtomic } from '../files.ts';

/** An enrolled node: its key is its identity, its partition is its as long as the record stands. */
export const NodeRecord = z.object({
  publicKey: z.string(),
  name: z.string(),
  vmId: z.int().nullable(),
  /** Whether OneGate has ever listed that VM: only then does its absence mean anything (a node of another site). */
  vmSeen: z.boolean(),
  nodeId: z.string().nullable(),
  partitionId: z.int().min(0),
  /** Whether the operator gave that partition to the node: it never gets another by itself. */
  given: z.boolean().default(false),
  /** SHA-256 of the node's token, hexadecimal. */
  tokenHash: z.string(),
  /** Milliseconds since the epoch. */
  enrolledAt: z.number(),
});
export type NodeRecord = z.infer<typeof NodeRecord>;

export const SiteState = z.object({
  version: z.literal(1),
  nodes: z.array(NodeRecord),
  /** Flower's ids of nodes that are no more, until Flower has been told. */
  removals: z.array(z.string()),
});
export type SiteState = z.infer<typeof SiteState>;

/**
 * Reads the state. A damaged file is set aside and reported, never trusted in part: nodes enrol again by themselves.
 */
export async function loadState(file: string, clock: Clock, warn: (message: string) => void): Promise<SiteState> {
  const empty: SiteState = { version: 1, nodes: [], removals: [] };
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return empty;
    throw error;
  }
  try {
    const state = SiteState.parse(JSON.parse(text));
    assertDistinct(state.nodes);
    return state;
  } catch (error) {
    const aside = `${file}.damaged-${clock.now()}`;
    await rename(file, aside);
    warn(
      `The enrolments in ${file} are damaged (${messageOf(error).slice(0, 200)}): set aside as ${aside}; nodes enrol anew.`,
    );
    return empty;
  }
}

/** @throws OneFlowerError `state_write_failed` */
export async function saveState(file: string, state: SiteState): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(state, null, 1)}\n`, { mode: 0o600 });
}

function assertDistinct(nodes: readonly NodeRecord[]): void {
  const partitions = new Set(nodes.map(({ partitionId }) => partitionId));
  const keys = new Set(nodes.map(({ publicKey }) => publicKey));
  if (partitions.size !== nodes.length || keys.size !== nodes.length) throw new Error('two nodes share a lease or key');
}
