import { mkdir } from 'node:fs/promises';
import { FakeClock, OneFlowerError } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import type { ControlApi, LogChunk } from '../flower-control/types.ts';
import { layoutOf } from '../layout.ts';
import { keptLog } from '../testing/log.ts';
import { temporaryFolder } from '../testing/temporary.ts';
import { RunLogBook } from './logs.ts';

/** Flower's log of a run, said piece by piece. */
function flowerLog() {
  const waiting: ((result: IteratorResult<LogChunk>) => void)[] = [];
  const pieces: IteratorResult<LogChunk>[] = [];
  const give = (result: IteratorResult<LogChunk>) => {
    const next = waiting.shift();
    if (next) next(result);
    else pieces.push(result);
  };
  const log = {
    asked: 0,
    say: (text: string) => give({ done: false, value: { text, latest: 0 } }),
    end: () => give({ done: true, value: undefined }),
    control: {
      streamLogs: () => {
        log.asked++;
        return {
          [Symbol.asyncIterator]: () => ({
            next: () => {
              const piece = pieces.shift();
              return piece ? Promise.resolve(piece) : new Promise(resolve => waiting.push(resolve));
            },
          }),
        };
      },
    } as unknown as ControlApi,
  };
  return log;
}

async function book() {
  const layout = layoutOf(await temporaryFolder(), '/opt/oneflower');
  await mkdir(layout.runs, { recursive: true });
  return new RunLogBook(layout, keptLog(new FakeClock()).log);
}

describe('the log of a run', () => {
  it('is read from a byte on, until it has ended', async () => {
    const logs = await book();
    const flower = flowerLog();
    flower.say('first ü\n');
    await expect.poll(() => logs.read(flower.control, '1', 0)).toEqual({ text: 'first ü\n', next: 9, ended: false });
    flower.say('second\n');
    await expect.poll(() => logs.read(flower.control, '1', 9)).toEqual({ text: 'second\n', next: 16, ended: false });
    flower.end();
    await expect.poll(() => logs.read(flower.control, '1', 16)).toEqual({ text: '', next: 16, ended: true });
    expect(flower.asked).toBe(1);
  });

  it('comes in pieces when it is long', async () => {
    const logs = await book();
    const flower = flowerLog();
    const line = `${'x'.repeat(99)}\n`;
    flower.say(line.repeat(5000));
    flower.end();
    await expect.poll(async () => (await logs.read(flower.control, '1', 499_900)).ended).toBe(true);
    let after = 0;
    let whole = '';
    for (let ended = false; !ended; ) {
      const piece = await logs.read(flower.control, '1', after);
      expect(piece.text.endsWith('\n')).toBe(true);
      whole += piece.text;
      after = piece.next;
      ended = piece.ended;
    }
    expect(whole).toBe(line.repeat(5000));
  });

  it('is asked for again after Flower could not be reached', async () => {
    const logs = await book();
    const error = new OneFlowerError({ code: 'flower-unreachable', message: 'Flower does not answer.' });
    const broken = {
      streamLogs: () => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(error) }) }),
    } as unknown as ControlApi;
    await logs.read(broken, '1', 0);
    const flower = flowerLog();
    flower.say('here\n');
    await expect.poll(async () => (await logs.read(flower.control, '1', 0)).text).toBe('here\n');
  });
});
