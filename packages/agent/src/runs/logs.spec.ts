import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FakeClock, OneFlowerError } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import type { ControlApi, LogChunk } from '../flower-control/types.ts';
import { layoutOf } from '../layout.ts';
import { keptLog } from '../testing/log.ts';
import { temporaryFolder } from '../testing/temporary.ts';
import type { LogLimits } from './bounded-log.ts';
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
      streamLogs: (_run: string, _after: number, signal: AbortSignal) => {
        log.asked++;
        signal.addEventListener('abort', () => log.end());
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

async function world(limits: Partial<LogLimits> = {}) {
  const { runs, ...layout } = layoutOf(await temporaryFolder(), '/opt/oneflower');
  await mkdir(runs, { recursive: true });
  const logs = new RunLogBook({ runs, ...layout }, keptLog(new FakeClock()).log, limits);
  const files = async () => (await readdir(runs)).sort();
  const bytes = async () => (await Promise.all((await files()).map(file => stat(join(runs, file))))).map(s => s.size);
  return { logs, runs, files, bytes };
}

async function book(limits: Partial<LogLimits> = {}) {
  return (await world(limits)).logs;
}

/** All that a reader gets who asks again and again. */
async function readAll(logs: RunLogBook, control: ControlApi, after = 0): Promise<string> {
  let whole = '';
  for (let from = after; ; ) {
    const { text, next, ended } = await logs.read(control, '1', from);
    whole += text;
    from = next;
    if (ended) return whole;
  }
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

  const line = (number: number) => `line ${String(number).padStart(5, '0')} ü\n`;
  const lines = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => line(from + index)).join('');

  it('that is long keeps its beginning and its end, and says what is missing', async () => {
    const { logs, bytes } = await world({ head: 1000, tail: 500, piece: 300 });
    const flower = flowerLog();
    for (let number = 0; number < 1000; number += 10) flower.say(lines(number, number + 10));
    flower.end();
    await expect.poll(async () => (await logs.read(flower.control, '1', 14_000)).ended).toBe(true);
    const whole = await readAll(logs, flower.control);
    const [, head, missing, tail] =
      /^([^[]*)\n\[oneflower: the log is too long to be kept whole; (\d+) bytes are left out here\]\n([^[]*)$/.exec(
        whole,
      ) ?? [];
    expect(head).toBe(lines(0, 71));
    expect(tail?.length).toBeGreaterThan(450);
    expect(lines(0, 1000).endsWith(tail ?? '?')).toBe(true);
    expect(Buffer.byteLength(`${head}${tail}`) + Number(missing)).toBe(14_000);
    expect((await bytes()).reduce((sum, size) => sum + size)).toBeLessThanOrEqual(2000);
  });

  it('is read without a gap by whoever keeps up with it', async () => {
    const logs = await book({ head: 100, tail: 500, piece: 300 });
    const flower = flowerLog();
    let read = '';
    let from = 0;
    await logs.read(flower.control, '1', 0);
    for (let number = 0; number < 300; number += 10) {
      flower.say(lines(number, number + 10));
      const until = lines(0, number + 10);
      await expect
        .poll(
          async () => {
            const { text, next } = await logs.read(flower.control, '1', from);
            from = next;
            read += text;
            return read.length;
          },
          { interval: 2 },
        )
        .toBe(until.length);
    }
    expect(read).toBe(lines(0, 300));
  });

  it('that has no lines, or says all at once, is bounded too and cuts no character', async () => {
    const { logs, bytes } = await world({ head: 1001, tail: 501, piece: 301 });
    const flower = flowerLog();
    flower.say('ü'.repeat(100_000));
    flower.end();
    await expect.poll(async () => (await logs.read(flower.control, '1', 200_000)).ended).toBe(true);
    expect(await readAll(logs, flower.control)).toMatch(/^ü+\n\[oneflower: .*\]\nü+$/);
    expect((await bytes()).reduce((sum, size) => sum + size)).toBeLessThanOrEqual(2010);
  });

  it('is kept of the twenty runs that were asked for last', async () => {
    const { logs, files, runs } = await world();
    await writeFile(join(runs, '900.log'), 'of an earlier life');
    await writeFile(join(runs, '900.log.1'), 'of an earlier life');
    await mkdir(join(runs, 'app-anomaly-detection'));
    const flowers = Array.from({ length: 25 }, (_, index) => ({ id: String(index + 10), flower: flowerLog() }));
    for (const { id, flower } of flowers) {
      flower.say(`${id}\n`);
      const text = async () => (await logs.read(flower.control, id, 0)).text;
      await expect.poll(text, { interval: 2 }).toBe(`${id}\n`);
      const first = flowers[0];
      if (first) await logs.read(first.flower.control, first.id, 0);
    }
    const kept = ['10', ...flowers.slice(6).map(({ id }) => id)].map(id => `${id}.log`);
    expect(await files()).toEqual([...kept, 'app-anomaly-detection']);
  });
});
