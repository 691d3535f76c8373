import { isOneFlowerError, type OneFlowerError, sleep } from '@oneflower/contract';
import { failure } from './failure.ts';
import { notReady } from './publication/attributes.ts';
import type { SuperNode } from './supernode.ts';

const pauseMs = 5000;
/** A SuperLink that restarts is back sooner. */
const toleratedMs = 60_000;

/**
 * Keeps what a SuperNode has published true: asks the SuperLink every few seconds whether it sees the node. Ends when
 * the node has to boot again: to look for the SuperLink anew, to be enrolled anew, or for another partition.
 *
 * @returns whether the SuperLink is lost.
 */
export async function watchNode(node: SuperNode, signal: AbortSignal): Promise<boolean> {
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
    if (result.error.message !== trouble) log.warning(result.error.explain());
    trouble = result.error.message;
    if (result.verdict === 'refused') return false;
    if (clock.now() - lastGood < toleratedMs) continue;
    await node.guest.publish(notReady('supernode', result.error));
    if (result.verdict === 'lost' && !node.isStatic) return true;
  }
}

type Answer =
  | { verdict: 'online'; bootAgain: boolean }
  | { verdict: 'away' | 'lost' | 'refused'; error: OneFlowerError };

async function ask(node: SuperNode): Promise<Answer> {
  try {
    const trouble = node.flowerTrouble();
    const { online, training, partition } = await node.askState(trouble ? 'failed' : 'running', trouble ?? null);
    const moved = partition.id !== node.partition.id || partition.of !== node.partition.of;
    if (online) return { verdict: 'online', bootAgain: moved && !training };
    return { verdict: 'away', error: failure('node_not_online', 'The SuperLink does not list this node online.') };
  } catch (error) {
    if (!isOneFlowerError(error)) throw error;
    return { verdict: error.code === 'enrolment_refused' ? 'refused' : 'lost', error };
  }
}
