import { type EventPage, FakeClock, OneFlowerError } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import type { Progress } from '../notify.ts';
import type { OperatorClient } from './client.ts';
import { askPatiently, followEvents, patienceMs } from './follow.ts';

type Answer = EventPage | OneFlowerError;

function page(...seqs: number[]): EventPage {
  const events = seqs.map(seq => ({
    seq,
    event: 'boot_ready',
    timestamp: '2026-01-01T00:00:00Z',
    data: { seconds: seq },
  }));
  return { events, next: seqs.at(-1) ?? 0 };
}

const away = new OneFlowerError({ code: 'operator-unreachable', message: 'It does not answer.' });

/** A SuperLink that answers what a test lays down, and how it was asked. */
function superlink(answers: Answer[]) {
  const asked: number[] = [];
  let connections = 0;
  const client = {
    async events(after: number) {
      asked.push(after);
      const answer = answers.shift();
      if (answer === undefined) throw new OneFlowerError({ code: 'over', message: 'The test is over.' });
      if (answer instanceof OneFlowerError) throw answer;
      return answer;
    },
    close: async () => undefined,
  } as unknown as OperatorClient;
  return {
    asked,
    connections: () => connections,
    connect: async () => {
      connections++;
      return client;
    },
  };
}

async function follow(answers: Answer[], after = 0) {
  const server = superlink(answers);
  const clock = new FakeClock();
  const progress: Progress[] = [];
  const seen: number[] = [];
  let error: unknown;
  const work = (async () => {
    const notify = (one: Progress): void => void progress.push(one);
    for await (const { seq } of followEvents({ connect: server.connect, clock, notify, after })) seen.push(seq);
  })().catch(thrown => {
    error = thrown;
  });
  for (let step = 0; step < 500 && error === undefined; step++) await clock.advance(1000);
  await work;
  return { ...server, progress, seen, error };
}

describe('following events', () => {
  it('asks for what comes after the last one', async () => {
    const { seen, asked } = await follow([page(1, 2), { events: [], next: 2 }, page(3)]);
    expect(seen).toEqual([1, 2, 3]);
    expect(asked).toEqual([0, 2, 2, 3]);
  });

  it('connects anew after a loss and misses nothing', async () => {
    const { seen, asked, progress, connections } = await follow([page(1), away, away, page(2)]);
    expect(seen).toEqual([1, 2]);
    expect(asked.slice(0, 4)).toEqual([0, 1, 1, 1]);
    expect(connections()).toBe(3);
    expect(progress).toEqual([
      { type: 'connection_lost', reason: 'It does not answer.' },
      { type: 'connection_restored' },
    ]);
  });

  it('begins again with a SuperLink that was made anew and counts from the start', async () => {
    const { seen, asked } = await follow([page(8), { events: [], next: 2 }, page(1, 2)]);
    expect(seen).toEqual([8, 1, 2]);
    expect(asked.slice(0, 3)).toEqual([0, 8, 0]);
  });

  it('leaves out what this version does not know, and data of another form', async () => {
    const strange = { seq: 1, event: 'volcano', timestamp: 'x', data: {} };
    const wrong = { seq: 2, event: 'boot_ready', timestamp: 'x', data: { seconds: 'long' } };
    const { seen } = await follow([{ events: [strange, wrong], next: 2 }, page(3)]);
    expect(seen).toEqual([3]);
  });

  it('gives up a SuperLink that stays away', async () => {
    const { error, asked } = await follow(Array.from({ length: 1000 }, () => away));
    expect(error).toBe(away);
    expect(asked.length).toBeLessThan(patienceMs / 1000);
  });

  it('does not try again what will not pass', async () => {
    const refused = new OneFlowerError({ code: 'operator-token-refused', message: 'No.' });
    const { error, asked } = await follow([refused]);
    expect(error).toBe(refused);
    expect(asked).toEqual([0]);
  });
});

describe('asking patiently', () => {
  async function ask(answers: Answer[]) {
    const server = superlink(answers);
    const clock = new FakeClock();
    const progress: Progress[] = [];
    const notify = (one: Progress): void => void progress.push(one);
    const began = clock.now();
    let ended: { answer: unknown } | { error: unknown } | undefined;
    const work = askPatiently({ connect: server.connect, clock, notify }, operator => operator.events(0, 0)).then(
      answer => {
        ended = { answer };
      },
      error => {
        ended = { error };
      },
    );
    while (ended === undefined) await clock.advance(1000);
    await work;
    return { ...server, progress, ended, tookMs: clock.now() - began };
  }

  it('waits for a SuperLink that is down from the start, and says so', async () => {
    const { ended, progress, connections } = await ask([away, away, away, page(1)]);
    expect(ended).toEqual({ answer: page(1) });
    expect(connections()).toBe(4);
    expect(progress).toEqual([
      { type: 'connection_lost', reason: 'It does not answer.' },
      { type: 'connection_restored' },
    ]);
  });

  it('gives up one that stays down, as late as following does', async () => {
    const { ended, tookMs } = await ask(Array.from({ length: 1000 }, () => away));
    expect(ended).toEqual({ error: away });
    expect(tookMs).toBeGreaterThanOrEqual(patienceMs);
    expect(tookMs).toBeLessThan(patienceMs + 15_000);
  });

  it.each(['operator-token-refused', 'oned-unreachable', 'oneflow-unauthenticated'])(
    'reports %s at once',
    async code => {
      const error = new OneFlowerError({ code, message: 'No.' });
      const { ended, progress, connections } = await ask([error]);
      expect(ended).toEqual({ error });
      expect(connections()).toBe(1);
      expect(progress).toEqual([]);
    },
  );
});
