import { isOneFlowerError, type OneFlowerError, type Partition, type StateResponse, sleep } from '@oneflower/contract';
import { failure } from './failure.ts';
import type { Guest } from './guest.ts';
import { notReady } from './publication/attributes.ts';

/** What the watchdog looks at. */
export interface WatchedNode {
  guest: Guest;
  /** The address of the SuperLink was given by a person: there is none to look for. */
  isStatic: boolean;
  /** The partition that Flower was started with. */
  partition: Partition;
  publishReady(): Promise<void>;
  /** Why Flower does not run steadily at this moment. */
  flowerTrouble(): OneFlowerError | undefined;
  /** Tells the SuperLink how this node is, and hears whether it is online. */
  askState(phase: 'starting' | 'running' | 'failed', error: string | null): Promise<StateResponse>;
}

const pauseMs = 5000;
/** A SuperLink that restarts is back sooner. */
const toleratedMs = 60_000;

/**
 * Keeps what a SuperNode has published true: asks the SuperLink every few seconds whether it sees the node. Ends when
 * the node has to boot again: to look for the SuperLink anew, to be enrolled anew, or for another partition.
 *
 * @returns whether the SuperLink is lost.
 */
export async function watchNode(node: WatchedNode, signal: AbortSignal): Promise<boolean> {
  const { clock, log } = node.guest;
  let lastGood = clock.now();
  let trouble: string | undefined;
  for (;;) {
    await sleep(clock, pauseMs, signal);
    const result = await ask(node);
    if (result.verdict === 'online') {
      if (trouble !== undefined) log.info('The SuperLink lists this node online again.');
      trouble = undefined;
      lastGood = clock.now();
      await node.publishReady();
      if (result.bootAgain) return false;
      continue;
    }
    if (result.error.code !== trouble) log.warning(result.error.explain());
    trouble = result.error.code;
    if (result.verdict === 'refused') return false;
    if (clock.now() - lastGood < toleratedMs) continue;
    await node.guest.publish(notReady('supernode', result.error));
    if (result.verdict === 'lost' && !node.isStatic) return true;
  }
}

type Answer =
  | { verdict: 'online'; bootAgain: boolean }
  | { verdict: 'away' | 'lost' | 'refused'; error: OneFlowerError };

async function ask(node: WatchedNode): Promise<Answer> {
  try {
    const trouble = node.flowerTrouble();
    const said = trouble?.message ?? null;
    const { online, training, partition } = await node.askState(trouble ? 'failed' : 'running', said);
    if (trouble) return { verdict: 'away', error: trouble };
    const moved = partition.id !== node.partition.id || partition.of !== node.partition.of;
    if (online) return { verdict: 'online', bootAgain: moved && !training };
    return { verdict: 'away', error: failure('node_not_online', 'The SuperLink does not list this node online.') };
  } catch (error) {
    if (!isOneFlowerError(error)) throw error;
    return { verdict: error.code === 'enrolment_refused' ? 'refused' : 'lost', error };
  }
}
