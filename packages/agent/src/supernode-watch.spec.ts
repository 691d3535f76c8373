import type { OneFlowerError, StateResponse } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { failure } from './failure.ts';
import type { Attributes } from './publication/publisher.ts';
import { type WatchedNode, watchNode } from './supernode-watch.ts';
import { quietGuest } from './testing/quiet-guest.ts';

const partition = { id: 1, of: 3 };
const online: StateResponse = { online: true, training: false, partition };
const unreachable = failure('superlink_unreachable', 'The SuperLink cannot be asked.');

async function world(isStatic: boolean) {
  const { clock, lines, guest } = await quietGuest();
  const outside = {
    answer: online as StateResponse | OneFlowerError,
    trouble: undefined as OneFlowerError | undefined,
  };
  const published: Attributes[] = [];
  guest.publish = async attributes => {
    published.push(attributes);
    return true;
  };
  const node: WatchedNode = {
    ...{ guest, isStatic, partition },
    publishReady: async () => void published.push({ FL_READY: 'YES' }),
    flowerTrouble: () => outside.trouble,
    async askState() {
      if ('online' in outside.answer) return outside.answer;
      throw outside.answer;
    },
  };
  const stop = new AbortController();
  let ended: boolean | undefined;
  const watching = watchNode(node, stop.signal).then(
    lost => {
      ended = lost;
    },
    () => undefined,
  );
  const end = async () => {
    stop.abort();
    await watching;
  };
  return { clock, lines, outside, published, ended: () => ended, end };
}

describe('watchNode', () => {
  it('keeps READY while the node is online, and through a short absence', async () => {
    const { clock, outside, published, ended, end } = await world(false);
    await clock.advance(30_000);
    outside.answer = unreachable;
    await clock.advance(55_000);
    outside.answer = online;
    await clock.advance(10_000);
    expect(published.every(({ FL_READY }) => FL_READY === 'YES')).toBe(true);
    expect(ended()).toBeUndefined();
    await end();
  });

  it('looks for the SuperLink anew when it is lost for more than a minute', async () => {
    const { clock, outside, published, ended, lines } = await world(false);
    outside.answer = unreachable;
    await clock.advance(65_000);
    expect(published.at(-1)).toMatchObject({ FL_READY: 'NO', FL_NODE_READY: 'NO', FL_ERROR: 'superlink_unreachable' });
    expect(ended()).toBe(true);
    expect(lines.filter(line => line.includes('[WARNING]'))).toHaveLength(1);
  });

  it('waits for a SuperLink with a static address', async () => {
    const { clock, outside, published, ended, end } = await world(true);
    outside.answer = unreachable;
    await clock.advance(600_000);
    expect(published.at(-1)).toMatchObject({ FL_ERROR: 'superlink_unreachable' });
    expect(ended()).toBeUndefined();
    outside.answer = online;
    await clock.advance(5000);
    expect(published.at(-1)).toEqual({ FL_READY: 'YES' });
    await end();
  });

  it('enrols anew when the SuperLink does not know the node any more', async () => {
    const { clock, outside, ended } = await world(true);
    outside.answer = failure('enrolment_refused', 'The token is not known.');
    await clock.advance(5000);
    expect(ended()).toBe(false);
  });

  it('takes another partition once no run is going on', async () => {
    const { clock, outside, ended } = await world(false);
    outside.answer = { ...online, training: true, partition: { id: 1, of: 4 } };
    await clock.advance(60_000);
    expect(ended()).toBeUndefined();
    outside.answer = { ...outside.answer, training: false };
    await clock.advance(5000);
    expect(ended()).toBe(false);
  });

  it('is not ready while Flower does not stay alive, whatever the SuperLink still believes', async () => {
    const { clock, outside, published, end } = await world(true);
    outside.trouble = failure('flower_start_failed', 'flower-supernode has ended.');
    await clock.advance(70_000);
    expect(published.at(-1)).toMatchObject({ FL_READY: 'NO', FL_ERROR: 'flower_start_failed' });
    outside.trouble = undefined;
    await clock.advance(5000);
    expect(published.at(-1)).toEqual({ FL_READY: 'YES' });
    await end();
  });
});
