import { execFileSync } from 'node:child_process';
import { appendFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
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
  const open = () =>
    createTail({ file, positionFile: join(folder, 'position'), clock, log, take: event => taken.push(event) });
  const rounds = () => taken.map(({ data }) => ('round' in data ? data.round : undefined));
  return { file, clock, lines, rounds, open, tail: await open() };
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

  it('empties nothing that a link leads to', async () => {
    const { file, tail } = await world();
    await writeFile(`${file}.other`, 'precious');
    await symlink(`${file}.other`, file);
    await tail.cut();
    expect((await stat(`${file}.other`)).size).toBe(8);
  });

  it('takes no event that would fill the memory', async () => {
    const { file, rounds, tail } = await world();
    const details = { run_id: '1', file: '1.npz', round: 1, metrics: {}, details: { more: 'x'.repeat(100_000) } };
    const model = { event: 'model_written', timestamp: '2026-01-01T00:00:00.000Z', data: details };
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
});
