import { join } from 'node:path';
import { FakeClock, systemClock } from '@oneflower/contract';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { EventSink } from '../journal/event-hub.ts';
import { keptLog } from '../testing/log.ts';
import { temporaryFolder } from '../testing/temporary.ts';
import { processesOf } from './processes.ts';
import { createSupervisor, type ProcessSpec, startFailed } from './supervisor.ts';

async function world(clock = new FakeClock()) {
  const guest = await temporaryFolder();
  const { log, lines } = keptLog(clock);
  const events: [string, Record<string, unknown>][] = [];
  const emit: EventSink = (event, data) => void events.push([event, data]);
  // The grace period is real time here: a child that is asked to end ends in real time.
  const supervisor = createSupervisor({ clock, log, emit, guest, graceMs: 300 });
  onTestFinished(async () => {
    const stopped = supervisor.stop();
    for (let round = 0; round < 100; round++) {
      await clock.advance(100);
      await new Promise(resolve => setTimeout(resolve, 5));
    }
    await stopped;
  });
  const count = (name: string) => events.filter(([event]) => event === name).length;
  return { clock, guest, lines, events, count, supervisor };
}

function script(text: string, name = 'flower-test'): ProcessSpec {
  return { name, file: process.execPath, args: ['-e', text], cwd: '/', env: { PATH: '/usr/bin:/bin' } };
}

const runs = 'setInterval(() => {}, 1000)';

describe('supervisor', () => {
  it.each([
    [0, 'process.exit(0)'],
    [1, 'process.exit(1)'],
    [null, 'process.kill(process.pid, 9)'],
  ])('starts a process again that ends with %s, ever more slowly', async (code, text) => {
    const { clock, supervisor, count, events } = await world();
    await supervisor.ensure([script(text)]);
    const pauses: unknown[] = [];
    for (let start = 1; start <= 7; start++) {
      await expect.poll(() => count('process_ended')).toBe(start);
      const [, data] = events.at(-1) ?? [];
      expect(data).toMatchObject({ name: 'flower-test', exit_code: code });
      pauses.push(data?.restart_in_seconds);
      await clock.advance(30_000);
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 30, 30]);
    expect(supervisor.state('flower-test')?.restarts).toBe(7);
  });

  it('forgets the pauses after a long life', async () => {
    const { clock, supervisor, count, events } = await world();
    await supervisor.ensure([script(runs)]);
    const killed = () => Number(events.findLast(([event]) => event === 'process_started')?.[1].pid);
    for (let start = 1; start <= 3; start++) {
      await expect.poll(() => count('process_started')).toBe(start);
      await clock.advance(60_000);
      process.kill(killed(), 'SIGKILL');
      await expect.poll(() => count('process_ended')).toBe(start);
      expect(events.at(-1)?.[1].restart_in_seconds).toBe(1);
      await clock.advance(1000);
    }
    const state = supervisor.state('flower-test');
    expect(state && startFailed('flower-test', state)).toMatchObject({
      message: 'flower-test was ended by SIGKILL.',
      reason: expect.stringContaining('memory'),
    });
  });

  it('puts what a process says into the log, line by line, and keeps the last for its failure', async () => {
    const { supervisor, lines } = await world();
    const said =
      "console.log('\\x1b[92mINFO \\x1b[0m: hello'); console.error('ERROR : no'); process.stdout.write('end')";
    await supervisor.ensure([script(said)]);
    await expect.poll(() => lines.filter(line => line.includes('[flwr]')).length).toBe(3);
    expect(lines.some(line => line.includes('[INFO] [flwr] INFO : hello'))).toBe(true);
    expect(lines.some(line => line.includes('[ERROR] [flwr] ERROR : no'))).toBe(true);
    const state = supervisor.state('flower-test');
    const error = state && startFailed('flower-test', state);
    expect(error).toMatchObject({ code: 'flower_start_failed', message: expect.stringContaining('ERROR : no') });
  });

  it('says so when the program is not there', async () => {
    const { supervisor, count } = await world();
    await supervisor.ensure([{ ...script(''), file: '/no/such/flower' }]);
    await expect.poll(() => count('process_ended')).toBe(1);
    expect(supervisor.state('flower-test')?.lastLines.join()).toContain('ENOENT');
  });

  it('leaves alone what has not changed, and starts anew what has', async () => {
    const { supervisor, count } = await world();
    await expect(supervisor.ensure([script(runs)])).resolves.toBe(true);
    await expect(supervisor.ensure([script(runs)])).resolves.toBe(false);
    expect(count('process_started')).toBe(1);
    await expect(supervisor.ensure([{ ...script(runs), env: { PATH: '/bin' } }])).resolves.toBe(true);
    expect(count('process_started')).toBe(2);
    expect(count('process_ended')).toBe(0);
  });

  it('starts everything once, however many boots ask for it at the same time', async () => {
    const { supervisor, count } = await world();
    await Promise.all([supervisor.ensure([script(runs)]), supervisor.ensure([script(runs)])]);
    expect(count('process_started')).toBe(1);
  });

  it('leaves nothing running that was being started when it was told to stop', async () => {
    const guest = await temporaryFolder();
    const { log } = keptLog(systemClock);
    const supervisor = createSupervisor({ clock: systemClock, log, emit: () => undefined, guest, graceMs: 300 });
    const starting = supervisor.ensure([script(runs)]);
    await Promise.all([starting, supervisor.stop()]);
    await expect(processesOf(guest)).resolves.toEqual([]);
    const given = AbortSignal.abort(new Error('given up'));
    await expect(supervisor.ensure([script(runs)], given)).rejects.toThrow('given up');
    await expect(processesOf(guest)).resolves.toEqual([]);
  });

  it('outlives a process that the operating system cannot make', async () => {
    const { clock, supervisor, count } = await world();
    await supervisor.ensure([{ ...script(''), args: ['a\0b'] }]);
    expect(count('process_ended')).toBe(1);
    await clock.advance(1000);
    expect(supervisor.state('flower-test')).toMatchObject({ running: false, restarts: 1 });
  });

  it('holds a process back before each start until it may, while the others run', async () => {
    const { clock, supervisor, count } = await world();
    const allowed: (() => void)[] = [];
    const mayStart = () => new Promise<void>(resolve => allowed.push(resolve));
    await supervisor.ensure([{ ...script('process.exit(1)', 'flower-held'), mayStart }, script(runs)]);
    expect(supervisor.state('flower-held')).toMatchObject({ running: false, held: true, restarts: 0 });
    expect(count('process_started')).toBe(1);
    allowed[0]?.();
    await expect.poll(() => count('process_ended')).toBe(1);
    await clock.advance(1000);
    expect(supervisor.state('flower-held')).toMatchObject({ running: false, held: true, restarts: 1 });
    await expect(
      supervisor.ensure([{ ...script('process.exit(1)', 'flower-held'), mayStart }, script(runs)]),
    ).resolves.toBe(false);
    allowed[1]?.();
    await expect.poll(() => count('process_ended')).toBe(2);
    expect(allowed).toHaveLength(2);
  });

  it.each([
    [true, "process.on('SIGTERM', () => process.exit(0))"],
    [false, "process.on('SIGTERM', () => process.exit(1))"],
    [false, "process.on('SIGTERM', () => {})"],
    [false, 'process.exit(0)'],
  ])('tells whether a process has ended in order when it was stopped (%s: %s)', async (inOrder, text) => {
    const { clock, supervisor, count, lines } = await world();
    await supervisor.ensure([script(`${text}; console.log('up'); ${runs}`)]);
    await expect.poll(() => lines.some(line => line.endsWith('up')) || count('process_ended') > 0).toBe(true);
    const state = supervisor.state('flower-test');
    expect(state?.endedInOrder).toBe(false);
    const stopped = supervisor.stop();
    if (text.includes('{}')) await clock.advance(300);
    await stopped;
    expect(state).toMatchObject({ running: false, endedInOrder: inOrder });
  });

  it('never starts a process that was held back when it was told to end', async () => {
    const { supervisor, count, lines } = await world();
    let given: AbortSignal | undefined;
    const mayStart = (signal: AbortSignal) =>
      new Promise<void>((_, reject) => {
        given = signal;
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    await supervisor.ensure([{ ...script(runs), mayStart }]);
    await supervisor.stop();
    expect(given?.aborted).toBe(true);
    expect(supervisor.state('flower-test')).toBeUndefined();
    expect(count('process_started')).toBe(0);
    expect(lines).toEqual([]);
  });

  it('starts a process all the same when whether it may cannot be said', async () => {
    const { supervisor, count, lines } = await world();
    await supervisor.ensure([{ ...script(runs), mayStart: () => Promise.reject(new Error('nobody knows')) }]);
    await expect.poll(() => count('process_started')).toBe(1);
    expect(lines.some(line => line.includes('nobody knows'))).toBe(true);
  });

  it('passes nothing of its own environment on', async () => {
    const { supervisor, lines } = await world();
    await supervisor.ensure([script('console.log(Object.keys(process.env).sort().join())')]);
    await expect.poll(() => lines.find(line => line.includes('ONEFLOWER_GUEST,PATH'))).toBeDefined();
    expect(lines.find(line => line.includes('ONEFLOWER_GUEST'))).toMatch(/\] ONEFLOWER_GUEST,PATH$/);
  });

  it('lets nothing live that it has started, whatever that has started', async () => {
    const guest = await temporaryFolder();
    const { log } = keptLog(systemClock);
    const supervisor = createSupervisor({ clock: systemClock, log, emit: () => undefined, guest, graceMs: 300 });
    const stubborn = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)";
    const parent = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(stubborn)}], { detached: true, stdio: 'ignore' }); ${stubborn}`;
    await supervisor.ensure([script(parent)]);
    await expect.poll(async () => (await processesOf(guest)).length).toBe(2);
    await supervisor.stop();
    await expect(processesOf(guest)).resolves.toEqual([]);
  });

  it('ends what a killed process has left, after its successor had time to', async () => {
    const { clock, guest, supervisor, count } = await world();
    const marker = JSON.stringify(join(guest, 'left-an-app'));
    const app = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)";
    const spawns = `require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(app)}], { detached: true, stdio: 'ignore' })`;
    const once = `const fs = require('node:fs'); if (!fs.existsSync(${marker})) { fs.writeFileSync(${marker}, ''); ${spawns} }`;
    const allowed: (() => void)[] = [];
    const mayStart = () => new Promise<void>(resolve => allowed.push(resolve));
    await supervisor.ensure([{ ...script(`${once}; ${runs}`), mayStart }]);
    allowed[0]?.();
    await expect.poll(async () => (await processesOf(guest)).length).toBe(2);
    const [parent] = await processesOf(guest);
    process.kill(parent?.pid ?? 0, 'SIGKILL');
    await expect.poll(() => count('process_ended')).toBe(1);
    // A successor that is held back cannot tell it anything.
    for (let held = 0; held < 90; held += 10) {
      await clock.advance(10_000);
      await expect(processesOf(guest)).resolves.toHaveLength(1);
    }
    allowed[1]?.();
    await expect.poll(async () => (await processesOf(guest)).length).toBe(2);
    await expect
      .poll(async () => {
        await clock.advance(10_000);
        return (await processesOf(guest)).length;
      })
      .toBe(1);
    expect(supervisor.state('flower-test')).toMatchObject({ running: true, restarts: 1 });
  });

  it('runs a process as another user where it is root', async () => {
    const { supervisor, lines } = await world();
    const own = process.getuid?.() ?? 0;
    const uid = own === 0 ? 65534 : own;
    const owner = { uid, gid: own === 0 ? 65534 : (process.getgid?.() ?? 0) };
    await supervisor.ensure([{ ...script(''), file: '/usr/bin/id', args: ['-u'], owner }]);
    await expect.poll(() => lines.some(line => line.endsWith(`[flwr] ${uid}`))).toBe(true);
  });
});
