import { FakeClock, type StateResponse } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { createStuckCheck } from './stuck-flower.ts';

function world() {
  const clock = new FakeClock();
  const starts = [clock.now()];
  const startAnew = async () => void starts.push(clock.now());
  const check = createStuckCheck(clock, { startedAt: () => starts.at(-1), startAnew });
  const answer = (online: boolean): StateResponse => ({ online, training: false, partition: { id: 0, of: 1 } });
  return {
    clock,
    starts,
    hear: (online: boolean) => check(Promise.resolve(answer(online))),
    hearNothing: () => check(Promise.reject(new Error('no answer'))).catch(() => undefined),
  };
}

describe('the check for a Flower that has given up', () => {
  it('starts one anew that stays away while the SuperLink answers, and gives the next one as much time', async () => {
    const { clock, starts, hear } = world();
    await clock.advance(600_000);
    for (let second = 0; second < 280; second += 5) {
      expect(await hear(false)).toMatchObject({ online: false });
      await clock.advance(5000);
    }
    expect(starts.map(start => (start - (starts[0] ?? 0)) / 1000)).toEqual([0, 690, 780, 870]);
  });

  it.each(['hear', 'hearNothing'] as const)('begins anew with %s', async what => {
    const guest = world();
    await guest.hear(false);
    await guest.clock.advance(80_000);
    await guest[what](true);
    await guest.hear(false);
    await guest.clock.advance(80_000);
    await guest.hear(false);
    expect(guest.starts).toHaveLength(1);
  });
});
