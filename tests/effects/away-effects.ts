import { expect } from 'vitest';
import { until } from '../support/until.ts';
import { commandLine, type Effects } from './effect.ts';
import type { Member } from './scene.ts';

/** Variables that decide how long Flower tries to reach a SuperLink that is gone. They come last: they end SuperLinks. */
export const awayEffects = {
  async FL_MAX_RETRIES(scene) {
    const before = await scene.plain();
    expect(await commandLine(before.node, 'flower-supernode')).not.toContain('--max-retries');
    expect(await commandLine(before.retryingNode, 'flower-supernode')).toContain('--max-retries 1 ');
    const { plain } = await scene.away();
    await until('Flower has given up', () => hasGivenUp(plain.retryingNode));
    expect(await hasGivenUp(plain.node)).toBe(false);
    if (process.env.ONEFLOWER_FULL !== '1') return;
    await plain.superLink.guest.start();
    await until('Flower, started anew, is let in again', () => hasJoinedTwice(plain.retryingNode), 300_000);
  },

  async FL_MAX_WAIT_TIME(scene) {
    const before = { plain: await scene.plain(), changed: await scene.changed() };
    expect(await commandLine(before.plain.node, 'flower-supernode')).not.toContain('--max-wait-time');
    expect(await commandLine(before.changed.node, 'flower-supernode')).toContain('--max-wait-time 2 ');
    const { plain, changed } = await scene.away();
    await until('Flower has given up', () => hasGivenUp(changed.node));
    expect(await hasGivenUp(plain.node)).toBe(false);
  },
} satisfies Effects;

/** Flower 1.41 says so and no more: its process lives on, without a connection. */
async function hasGivenUp({ guest }: Member): Promise<boolean> {
  return (await guest.log()).includes('Giving up reconnection');
}

/** Flower says its id whenever the SuperLink has let it in. */
async function hasJoinedTwice({ guest }: Member): Promise<boolean> {
  return (await guest.log()).split('SuperNode ID: ').length > 2;
}
