import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FakeClock } from '@oneflower/contract';
import { expect, test, vi } from 'vitest';
import { longestLog } from './folder.ts';
import type { GuestEvent } from './guest.ts';
import { linuxProcesses } from './proc.ts';
import {
  alive,
  behave,
  folder,
  inDirectory,
  inRoot,
  open,
  remaining,
  seenBy,
  starts,
  until,
  useDriverDirectory,
  vm,
} from './testing.ts';

useDriverDirectory();

test('starts the agent with its folders, its address and an environment of its own', async () => {
  await open().deploy(vm);
  const seen = await seenBy();
  const { root, context } = folder();
  expect(seen.args).toEqual(['--root', root, '--context', context, '--address', '127.31.1.1']);
  expect(Object.keys(seen.env).sort()).toEqual(['HOME', 'LANG', 'PATH']);
  expect(readFileSync(join(context, 'token.txt'), 'utf8')).toBe('abc==');
  expect(statSync(context).mode & 0o777).toBe(0o700);
  // Root's agent runs Flower as somebody else, who must get at the guest's files.
  expect(statSync(root).mode & 0o777).toBe(process.getuid?.() === 0 ? 0o755 : 0o700);
  for (const name of ['context.sh', 'token.txt']) expect(statSync(join(context, name)).mode & 0o777).toBe(0o600);
  await until(() => readFileSync(folder().log, 'utf8').includes('agent is up'));
});

test('the agent gets of the cloud only what packages are installed with', async () => {
  const given = { PIP_INDEX_URL: 'https://mirror.example/simple', https_proxy: 'http://proxy.example:3128' };
  await open({ environment: { ...given, ONE_AUTH: '/root/one_auth', HOME: '/root', PATH: '/elsewhere' } }).deploy(vm);
  const { env } = await seenBy();
  expect(env).toMatchObject({ ...given, HOME: folder().root });
  expect(env.PATH).not.toContain('/elsewhere');
  expect(Object.keys(env).sort()).toEqual(['HOME', 'LANG', 'PATH', 'PIP_INDEX_URL', 'https_proxy']);
});

test('an agent that cannot be run fails the deployment with the reason', async () => {
  const driver = open({ file: inDirectory('missing') });
  await expect(driver.deploy(vm)).rejects.toMatchObject({ code: 'agent-not-started' });
  expect(await driver.isRunning(7)).toBe(false);
});

test('an agent whose program is away for a while is started once it is back', async () => {
  const program = inDirectory('node');
  symlinkSync(process.execPath, program);
  const clock = new FakeClock();
  const events: GuestEvent[] = [];
  const driver = open({ clock, events, file: program });
  await driver.deploy(vm);
  await seenBy();
  rmSync(program);
  linuxProcesses.kill(starts()[0] ?? 0, 'SIGKILL');
  await until(() => events.length === 1);
  await clock.advance(1000);
  await until(() => events.length === 2);
  expect(events[1]).toMatchObject({ kind: 'agent-not-started', restartIn: 2000 });
  expect(await driver.isRunning(7)).toBe(true);
  symlinkSync(process.execPath, program);
  await clock.advance(2000);
  await until(() => starts().length === 2);
});

test('an agent that cannot be noted is not left behind', async () => {
  folder().prepare(vm);
  mkdirSync(join(folder().path, 'agent.pid.new'));
  const driver = open();
  await expect(driver.deploy(vm)).rejects.toThrow(/EISDIR/);
  expect(remaining()).toEqual([]);
  expect(await driver.isRunning(7)).toBe(false);
});

test('asks the agent to end, ends what it left behind, and keeps the disk for the next start', async () => {
  behave('child loner');
  const driver = open();
  await driver.deploy(vm);
  const { child, loner } = await seenBy();
  expect(alive(child) && alive(loner)).toBe(true);
  await driver.shutdown(7, { hard: false });
  expect(readFileSync(inRoot('signals'), 'utf8')).toBe('TERM\n');
  expect(alive(child) || alive(loner)).toBe(false);
  expect(remaining()).toEqual([]);
  expect(await driver.isRunning(7)).toBe(false);
  writeFileSync(inRoot('kept'), 'x');
  await driver.deploy(vm);
  await until(() => starts().length === 2);
  expect(readFileSync(inRoot('kept'), 'utf8')).toBe('x');
});

test('an agent that does not listen is killed after 45 s', async () => {
  const clock = new FakeClock();
  behave('stubborn');
  const driver = open({ clock });
  await driver.deploy(vm);
  await seenBy();
  const began = clock.now();
  let over = false;
  const stopped = driver.shutdown(7, { hard: false }).then(() => {
    over = true;
  });
  await until(() => readdirSync(folder().root).includes('signals'));
  await clock.advance(44_000);
  expect(over).toBe(false);
  await vi.waitUntil(
    async () => {
      await clock.advance(500);
      return over;
    },
    { timeout: 10_000, interval: 5 },
  );
  await stopped;
  expect(clock.now() - began).toBeGreaterThanOrEqual(45_000);
  expect(remaining()).toEqual([]);
});

test('a hard shutdown does not ask', async () => {
  const driver = open();
  await driver.deploy(vm);
  await seenBy();
  await driver.shutdown(7, { hard: true });
  expect(readdirSync(folder().root)).not.toContain('signals');
  expect(remaining()).toEqual([]);
});

test('starts a dying agent again after 1, 2, 4, 8, 10 and 10 s', async () => {
  const clock = new FakeClock();
  const events: GuestEvent[] = [];
  behave('die');
  await open({ clock, events }).deploy(vm);
  for (let died = 1; died <= 6; died++) {
    await until(() => events.length === died);
    await clock.advance(events.at(-1)?.restartIn ?? 0);
  }
  expect(events.map(({ restartIn }) => restartIn)).toEqual([1000, 2000, 4000, 8000, 10_000, 10_000]);
  expect(events[0]).toMatchObject({ vmId: 7, kind: 'agent-ended', reason: 'ended with code 3' });
});

test('kills what a crashed agent left before it starts the next one', async () => {
  const clock = new FakeClock();
  const events: GuestEvent[] = [];
  behave('child loner');
  await open({ clock, events }).deploy(vm);
  const first = await seenBy();
  linuxProcesses.kill(starts()[0] ?? 0, 'SIGKILL');
  await until(() => events.length === 1);
  expect(alive(first.child)).toBe(true);
  await vi.waitUntil(
    async () => {
      await clock.advance(1000);
      return starts().length === 2;
    },
    { timeout: 10_000, interval: 20 },
  );
  expect(alive(first.child) || alive(first.loner)).toBe(false);
});

test('a new context is written and the agent told', async () => {
  const driver = open();
  await driver.deploy(vm);
  await seenBy();
  await driver.recontext({ ...vm, contextFiles: { 'context.sh': "FL_NUM_ROUNDS='9'\n" } });
  await until(() => readdirSync(folder().root).includes('signals'));
  expect(readdirSync(folder().context)).toEqual(['context.sh']);
  expect(readFileSync(join(folder().context, 'context.sh'), 'utf8')).toContain('9');
});

test('reboot starts another agent on the same disk', async () => {
  const driver = open();
  await driver.deploy(vm);
  await seenBy();
  await driver.reboot(7, { hard: false });
  await until(() => starts().length === 2);
  expect(alive(starts()[0])).toBe(false);
});

test('a long log moves to agent.log.1 and the agent writes on', async () => {
  const clock = new FakeClock();
  await open({ clock }).deploy(vm);
  await seenBy();
  await until(() => readFileSync(folder().log, 'utf8').includes('up'));
  writeFileSync(folder().log, 'x'.repeat(longestLog + 1));
  await clock.advance(30_000);
  expect(statSync(folder().log).size).toBe(0);
  expect(statSync(`${folder().log}.1`).size).toBe(longestLog + 1);
});

test('destroy leaves neither folder nor process', async () => {
  behave('child loner');
  const driver = open();
  await driver.deploy(vm);
  const { child, loner } = await seenBy();
  await driver.destroy(7);
  expect(alive(child) || alive(loner)).toBe(false);
  expect(readdirSync(inDirectory('vms'))).toEqual([]);
});
