import { OneFlowerError } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import type { Certificates } from './certificates/index.ts';
import { failure } from './failure.ts';
import type { Attributes } from './publication/publisher.ts';
import { type WatchedSuperLink, watchSuperLink } from './superlink-watch.ts';
import { quietGuest } from './testing/quiet-guest.ts';

const day = 24 * 3600 * 1000;

async function world(renewInMs = 300 * day) {
  const { clock, lines, guest } = await quietGuest();
  const published: Attributes[] = [];
  guest.publish = async attributes => {
    published.push(attributes);
    return true;
  };
  const outside = {
    answers: true,
    trouble: undefined as OneFlowerError | undefined,
    training: false,
    ticks: 0,
    toldTraining: undefined as boolean | undefined,
  };
  const unreachable = new OneFlowerError({ code: 'flower-unreachable', message: 'Flower does not answer.' });
  const watched = {
    guest,
    certificates: { renewAt: clock.now() + renewInMs, expiresAt: clock.now() + renewInMs + 30 * day } as Certificates,
    site: {
      refresh: async () => {
        if (!outside.answers) throw unreachable;
      },
      setTraining: (active: boolean) => {
        outside.toldTraining = active;
      },
    },
    runs: { keeper: { tick: async () => void outside.ticks++, isTraining: () => outside.training } },
    probe: async () => {
      if (!outside.answers) throw failure('health_check_timeout', 'The Fleet API does not answer.');
    },
    publishReady: async () => void published.push({ FL_READY: 'YES' }),
    flowerTrouble: () => outside.trouble,
  } as unknown as WatchedSuperLink;
  const stop = new AbortController();
  let ended = false;
  const watching = watchSuperLink(watched, stop.signal).then(
    () => {
      ended = true;
    },
    () => undefined,
  );
  const end = async () => {
    stop.abort();
    await watching;
  };
  return { clock, lines, outside, published, ended: () => ended, end };
}

describe('watchSuperLink', () => {
  it('follows nodes and runs, and keeps READY', async () => {
    const { clock, outside, published, end } = await world();
    outside.training = true;
    await clock.advance(20_000);
    expect(outside.ticks).toBeGreaterThan(8);
    expect(outside.toldTraining).toBe(true);
    expect(published.length).toBeGreaterThan(1);
    expect(published.every(({ FL_READY }) => FL_READY === 'YES')).toBe(true);
    await end();
  });

  it('withdraws READY when the Fleet API stays away, and gives it back', async () => {
    const { clock, outside, published, lines, end } = await world();
    await clock.advance(6000);
    outside.answers = false;
    await clock.advance(10_000);
    expect(published.at(-1)?.FL_READY).toBe('YES');
    await clock.advance(20_000);
    expect(published.at(-1)).toMatchObject({ FL_READY: 'NO', READY: 'NO', FL_ERROR: 'health_check_timeout' });
    expect(lines.filter(line => line.includes('[WARNING]'))).toHaveLength(1);
    outside.answers = true;
    await clock.advance(6000);
    expect(published.at(-1)).toEqual({ FL_READY: 'YES' });
    await end();
  });

  it('names Flower where that does not stay alive', async () => {
    const { clock, outside, published, end } = await world();
    outside.answers = false;
    outside.trouble = failure('flower_start_failed', 'flower-superlink has ended.');
    await clock.advance(30_000);
    expect(published.at(-1)).toMatchObject({ FL_ERROR: 'flower_start_failed' });
    await end();
  });

  it('ends when the certificate is due, after a run if one is going on', async () => {
    const { clock, outside, ended, end } = await world(-day);
    outside.training = true;
    await clock.advance(2 * 3600 * 1000);
    expect(ended()).toBe(false);
    outside.training = false;
    await clock.advance(2000);
    expect(ended()).toBe(true);
    await end();
  });

  it('does not wait for a run until the certificate is no good', async () => {
    const { clock, outside, ended, end } = await world(-29 * day + 3600 * 1000);
    outside.training = true;
    await clock.advance(2 * 3600 * 1000);
    expect(ended()).toBe(true);
    await end();
  });
});
