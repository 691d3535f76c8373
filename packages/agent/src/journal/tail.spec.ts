import { execFileSync } from 'node:child_process';
import {
  appendFile,
  link,
  mkdir,
  open as openFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { FakeClock, type FlowerEvent } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { keptLog } from '../testing/log.ts';
import { temporaryFolder } from '../testing/temporary.ts';
import { createTail } from './tail.ts';

function roundStart(round: number): string {
  const data = { run_id: '1', round, num_clients_selected: 2 };
  return `${JSON.stringify({ event: 'round_start', timestamp: '2026-01-01T00:00:00.000Z', data })}\n`;
}

async function world() {
  const folder = await temporaryFolder();
  const file = join(folder, 'events.jsonl');
  const clock = new FakeClock();
  const { log, lines } = keptLog(clock);
  const taken: FlowerEvent[] = [];
  const hub = { stored: true, waiting: 0, mostWaiting: 0 };
  const formerFile = join(folder, 'former.jsonl');
  const open = () =>
    createTail({
      ...{ file, formerFile, positionFile: join(folder, 'position'), clock, log, longestJournal: 500 },
      take(event) {
        taken.push(event);
        hub.mostWaiting = Math.max(hub.mostWaiting, ++hub.waiting);
      },
      async stored() {
        hub.waiting = 0;
        return hub.stored;
      },
    });
  const rounds = () => taken.map(({ data }) => ('round' in data ? data.round : undefined));
  return { file, formerFile, clock, lines, rounds, hub, open, tail: await open() };
}

describe('tail', () => {
  it('takes each event once, also across restarts', async () => {
    const { file, rounds, tail, open } = await world();
    await tail.poll();
    await writeFile(file, roundStart(1));
    await tail.poll();
    await appendFile(file, roundStart(2));
    await (await open()).poll();
    await (await open()).poll();
    expect(rounds()).toEqual([1, 2]);
  });

  it('empties the journal when it has read it, without losing or repeating an event', async () => {
    const { file, rounds, open } = await world();
    await writeFile(file, `${roundStart(1)}${roundStart(2)}{"event":"round_`);
    const tail = await open();
    await tail.cut();
    expect((await stat(file)).size).toBe(0);
    await appendFile(file, roundStart(3));
    await tail.poll();
    await (await open()).poll();
    expect(rounds()).toEqual([1, 2, 3]);
  });

  it('takes no more at once than what was taken before is written', async () => {
    const { file, rounds, tail, hub } = await world();
    const line = roundStart(1);
    const inMegabyte = Math.floor(1024 ** 2 / line.length);
    await writeFile(file, line.repeat(3 * inMegabyte));
    await tail.poll();
    expect(rounds()).toHaveLength(3 * inMegabyte);
    expect(hub.mostWaiting).toBeLessThanOrEqual(inMegabyte);
  });

  it('empties nothing that a link leads to', async () => {
    const { file, tail } = await world();
    await writeFile(`${file}.other`, 'precious');
    await symlink(`${file}.other`, file);
    await tail.cut();
    expect((await stat(`${file}.other`)).size).toBe(8);
  });

  it('takes no event that would fill the memory', async () => {
    const { file, rounds, tail } = await world();
    const data = { run_id: '1', file: '1.npz', round: 1, metrics: {}, more: 'x'.repeat(100_000) };
    const model = { event: 'model_written', timestamp: '2026-01-01T00:00:00.000Z', data };
    await writeFile(file, `${JSON.stringify(model)}\n${roundStart(2)}`);
    await tail.poll();
    expect(rounds()).toEqual([2]);
  });

  it('waits for the rest of a line', async () => {
    const { file, rounds, tail } = await world();
    const line = roundStart(1);
    await writeFile(file, line.slice(0, 20));
    await tail.poll();
    await appendFile(file, line.slice(20));
    await tail.poll();
    expect(rounds()).toEqual([1]);
  });

  it('begins anew when the file was cut', async () => {
    const { file, rounds, tail } = await world();
    await writeFile(file, roundStart(1) + roundStart(2));
    await tail.poll();
    await truncate(file, 0);
    await appendFile(file, roundStart(3));
    await tail.poll();
    expect(rounds()).toEqual([1, 2, 3]);
  });

  it('passes over what is no event, however long, with one warning', async () => {
    const { file, rounds, lines, tail } = await world();
    const boot = JSON.stringify({ event: 'boot_ready', timestamp: '2026-01-01T00:00:00Z', data: { seconds: 1 } });
    await writeFile(file, `{]\n\0\xff\n${boot}\n${'x'.repeat(3_000_000)}\n${roundStart(7)}`);
    await tail.poll();
    expect(rounds()).toEqual([7]);
    expect(lines.filter(line => line.includes('[WARNING]'))).toHaveLength(1);
  });

  it('reads no link and no pipe', async () => {
    const { file, rounds, tail } = await world();
    await writeFile(`${file}.other`, roundStart(1));
    await symlink(`${file}.other`, file);
    await tail.poll();
    await rm(file);
    execFileSync('/usr/bin/mkfifo', [file]);
    await tail.poll();
    expect(rounds()).toEqual([]);
  });

  it('reads by itself every half second until it is stopped', async () => {
    const { file, rounds, tail, clock } = await world();
    tail.start();
    await writeFile(file, roundStart(1));
    await clock.advance(500);
    await expect.poll(rounds).toEqual([1]);
    tail.stop();
    await clock.advance(5000);
    expect(clock.waiting).toBe(0);
  });

  it('reads again after a crash what the hub had not stored yet, and empties nothing of it', async () => {
    const { file, rounds, hub, tail, open } = await world();
    hub.stored = false;
    await writeFile(file, roundStart(1));
    await tail.poll();
    const next = await open();
    await next.cut();
    expect(rounds()).toEqual([1, 1]);
    expect((await stat(file)).size).toBeGreaterThan(0);
    hub.stored = true;
    await next.cut();
    expect((await stat(file)).size).toBe(0);
    await (await open()).poll();
    expect(rounds()).toEqual([1, 1]);
  });

  describe('of a journal that grows long', () => {
    const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

    it('lays it aside, and loses no event of an app that is writing at that moment', async () => {
      const { file, formerFile, rounds, tail, clock } = await world();
      await writeFile(file, numbers(0, 10).map(roundStart).join(''));
      const late = await openFile(file, 'a');
      await tail.poll();
      await appendFile(file, roundStart(10));
      await late.appendFile(roundStart(11));
      await tail.poll();
      await clock.advance(59_000);
      await late.appendFile(roundStart(12));
      await tail.poll();
      await late.close();
      await clock.advance(59_000);
      await tail.poll();
      expect((await stat(formerFile)).size).toBeGreaterThan(500);
      await clock.advance(1000);
      await tail.poll();
      await expect(stat(formerFile)).rejects.toThrow('ENOENT');
      expect((await stat(file)).size).toBe(roundStart(10).length);
      expect(rounds().toSorted((a = 0, b = 0) => a - b)).toEqual(numbers(0, 13));
    });

    it('keeps it bounded while apps write on and on', async () => {
      const { file, rounds, tail, clock } = await world();
      for (let round = 0; round < 300; round++) {
        await appendFile(file, roundStart(round));
        await clock.advance(10_000);
        await tail.poll();
        expect((await stat(file).catch(() => ({ size: 0 }))).size).toBeLessThan(2500);
      }
      expect(rounds()).toEqual(numbers(0, 300));
    });

    it('takes each event once when the agent dies before, in the middle or after', async () => {
      const { file, formerFile, rounds, tail, open } = await world();
      await writeFile(file, numbers(0, 3).map(roundStart).join(''));
      await tail.poll();
      await link(file, formerFile);
      const second = await open();
      await appendFile(file, numbers(3, 10).map(roundStart).join(''));
      await second.poll();
      await expect(stat(file)).rejects.toThrow('ENOENT');
      await appendFile(file, roundStart(10));
      await appendFile(formerFile, roundStart(11));
      const third = await open();
      await third.poll();
      await (await open()).cut();
      await expect(stat(formerFile)).rejects.toThrow('ENOENT');
      expect((await stat(file)).size).toBe(0);
      await (await open()).poll();
      expect(rounds().toSorted((a = 0, b = 0) => a - b)).toEqual(numbers(0, 12));
    });

    it('takes each event once when the agent dies before it has written down that it was laid aside', async () => {
      const { file, formerFile, rounds, tail, open } = await world();
      await writeFile(file, numbers(0, 3).map(roundStart).join(''));
      await tail.poll();
      await rename(file, formerFile);
      await appendFile(formerFile, roundStart(3));
      await appendFile(file, roundStart(4));
      await (await open()).poll();
      await (await open()).poll();
      expect(rounds()).toEqual(numbers(0, 5));
    });

    it('says once where it cannot', async () => {
      const { file, formerFile, rounds, tail, lines, clock } = await world();
      await mkdir(formerFile);
      for (let round = 0; round < 20; round++) {
        await appendFile(file, roundStart(round));
        await clock.advance(10_000);
        await tail.poll();
      }
      expect(rounds()).toEqual(numbers(0, 20));
      const warnings = lines.filter(line => line.includes('[WARNING]'));
      expect(warnings).toEqual([expect.stringContaining('cannot be laid aside: EEXIST')]);
    });
  });
});
