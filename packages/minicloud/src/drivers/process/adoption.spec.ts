import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import type { GuestEvent } from './guest.ts';
import { linuxProcesses } from './proc.ts';
import { alive, folder, open, seenBy, starts, until, useDriverDirectory, vm } from './testing.ts';

useDriverDirectory();

test('a later cloud takes over the very process, and starts it again when it dies', async () => {
  const first = open();
  await first.deploy(vm);
  await seenBy();
  const [pid] = starts();
  first.detach();
  const events: GuestEvent[] = [];
  const second = open({ events });
  expect(await second.isRunning(7)).toBe(true);
  await second.deploy(vm);
  expect(starts()).toEqual([pid]);
  linuxProcesses.kill(pid ?? 0, 'SIGKILL');
  await until(() => starts().length === 2);
  expect(events).toMatchObject([{ kind: 'agent-ended', restartIn: 1000 }]);
});

test('an agent that died while no cloud was there is started again', async () => {
  const first = open();
  await first.deploy(vm);
  await seenBy();
  first.detach();
  linuxProcesses.kill(starts()[0] ?? 0, 'SIGKILL');
  await until(() => !alive(starts()[0]));
  const second = open();
  expect(await second.isRunning(7)).toBe(true);
  await until(() => starts().length === 2);
});

test('a pid that belongs to somebody else now is left alone', async () => {
  folder().prepare(vm);
  const stranger = spawn('/bin/sleep', ['602'], { detached: true, stdio: 'ignore' });
  await until(() => alive(stranger.pid));
  const info = linuxProcesses.read(stranger.pid ?? 0);
  folder().writeRecord({
    pid: stranger.pid ?? 0,
    startTime: (info?.startTime ?? 0) - 1,
    bootId: linuxProcesses.bootId(),
  });
  const driver = open();
  await driver.shutdown(7, { hard: true });
  expect(alive(stranger.pid)).toBe(true);
  stranger.kill('SIGKILL');
});

test('after a restart of the machine a VM is switched off', async () => {
  folder().prepare(vm);
  folder().writeRecord({
    pid: process.pid,
    startTime: linuxProcesses.read(process.pid)?.startTime ?? 0,
    bootId: 'old',
  });
  const driver = open();
  expect(await driver.isRunning(7)).toBe(false);
});
