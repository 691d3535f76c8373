import { appendFile, chmod, mkdir, readFile, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FakeClock } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { keptLog } from '../testing/log.ts';
import { temporaryFolder } from '../testing/temporary.ts';
import { createEventHub } from './event-hub.ts';

async function world(keep?: number) {
  const file = join(await temporaryFolder(), 'events.jsonl');
  const clock = new FakeClock();
  const { log, lines } = keptLog(clock);
  const open = () => createEventHub({ file, clock, log, ...(keep === undefined ? {} : { keep }) });
  return { file, clock, lines, open, hub: await open() };
}

describe('event hub', () => {
  it('numbers events and goes on counting after a restart', async () => {
    const { hub, open } = await world();
    hub.emit('boot_ready', { seconds: 1 });
    hub.emit('boot_ready', { seconds: 2 });
    await hub.flushed();
    const again = await open();
    again.emit('boot_ready', { seconds: 3 });
    expect(again.kept().map(({ seq, data }) => [seq, data.seconds])).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
  });

  it('answers a page at once, or when the first event comes, or when time is up', async () => {
    const { hub, clock } = await world();
    const waiting = hub.page(0, 30_000);
    hub.emit('boot_ready', { seconds: 1 });
    await expect(waiting).resolves.toMatchObject({ events: [{ seq: 1 }], next: 1 });
    await expect(hub.page(0, 30_000)).resolves.toMatchObject({ next: 1 });
    const empty = hub.page(1, 30_000);
    await clock.advance(30_000);
    await expect(empty).resolves.toEqual({ events: [], next: 1 });
    const aborted = new AbortController();
    const gone = hub.page(1, 30_000, aborted.signal);
    aborted.abort();
    await expect(gone).resolves.toEqual({ events: [], next: 1 });
    expect(clock.waiting).toBe(0);
  });

  it('answers a reader who knows a later number than there is', async () => {
    const { hub } = await world();
    hub.emit('boot_ready', { seconds: 1 });
    await expect(hub.page(99, 0)).resolves.toEqual({ events: [], next: 1 });
  });

  it('keeps the last ones on disk, each once', async () => {
    const { file, hub, open } = await world(10);
    for (let seconds = 1; seconds <= 55; seconds++) hub.emit('boot_ready', { seconds });
    await hub.flushed();
    const seqs = (await open()).kept().map(({ seq }) => seq);
    expect(new Set(seqs).size).toBe(seqs.length);
    expect(seqs.at(-1)).toBe(55);
    expect(seqs.length).toBeGreaterThanOrEqual(10);
    expect((await readFile(file, 'utf8')).split('\n').length).toBeLessThan(60);
  });

  it('passes over a last line that a power cut has shortened', async () => {
    const { file, hub, open } = await world();
    hub.emit('boot_ready', { seconds: 1 });
    await hub.flushed();
    await appendFile(file, '{"seq":2,"eve');
    expect((await open()).kept()).toHaveLength(1);
  });

  it('loses no event to a line that was shortened before it', async () => {
    const { file, hub, open } = await world();
    hub.emit('boot_ready', { seconds: 1 });
    await hub.flushed();
    await appendFile(file, '{"seq":2,"eve');
    const next = await open();
    next.emit('boot_ready', { seconds: 2 });
    await next.flushed();
    expect((await open()).kept().map(({ data }) => data.seconds)).toEqual([1, 2]);
  });

  it('keeps no more in memory while the disk takes nothing', async () => {
    const file = join(await temporaryFolder(), 'events.jsonl');
    const clock = new FakeClock();
    await mkdir(file);
    const hub = await createEventHub({ file, clock, log: keptLog(clock).log, keep: 10 });
    for (let seconds = 1; seconds <= 500; seconds++) hub.emit('boot_ready', { seconds });
    await hub.flushed();
    expect(hub.kept().length).toBeLessThanOrEqual(20);
    expect(hub.kept().at(-1)?.seq).toBe(500);
  });

  it('keeps fewer where they are long', async () => {
    const { file, hub } = await world();
    const details = 'x'.repeat(20_000);
    for (let rounds_done = 1; rounds_done <= 2000; rounds_done++) {
      hub.emit('run_ended', { run_id: '1', status: 'failed', details, rounds_done });
    }
    await hub.flushed();
    expect(hub.kept().length).toBeLessThan(900);
    expect(hub.kept().at(-1)?.seq).toBe(2000);
    expect((await stat(file)).size).toBeLessThan(17 * 1024 * 1024);
  });

  it('says whether all is on disk, and writes what the disk has missed when it takes something again', async () => {
    const { file, hub, open } = await world();
    hub.emit('boot_ready', { seconds: 1 });
    await expect(hub.flushed()).resolves.toBe(true);
    await rm(file);
    await mkdir(file);
    hub.emit('boot_ready', { seconds: 2 });
    await expect(hub.flushed()).resolves.toBe(false);
    await rmdir(file);
    hub.emit('boot_ready', { seconds: 3 });
    await expect(hub.flushed()).resolves.toBe(true);
    expect((await open()).kept().map(({ data }) => data.seconds)).toEqual([1, 2, 3]);
  });

  it('tells a listener nothing more that has left', async () => {
    const { hub } = await world();
    const heard: number[] = [];
    const leave = hub.listen(({ seq }) => heard.push(seq));
    hub.emit('boot_ready', { seconds: 1 });
    leave();
    hub.emit('boot_ready', { seconds: 2 });
    expect(heard).toEqual([1]);
  });

  it('goes on without the disk and says so once', async () => {
    const folder = await temporaryFolder();
    const clock = new FakeClock();
    const { log, lines } = keptLog(clock);
    await mkdir(join(folder, 'events.jsonl'));
    await chmod(join(folder, 'events.jsonl'), 0o755);
    const hub = await createEventHub({ file: join(folder, 'events.jsonl'), clock, log });
    hub.emit('boot_ready', { seconds: 1 });
    hub.emit('boot_ready', { seconds: 2 });
    await hub.flushed();
    expect(hub.kept()).toHaveLength(2);
    expect(lines.filter(line => line.includes('[WARNING]'))).toHaveLength(1);
  });
});
