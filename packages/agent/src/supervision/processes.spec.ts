import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { systemClock } from '@oneflower/contract';
import { afterEach, describe, expect, it } from 'vitest';
import { endProcesses, guestMark, processesOf, startTimeOf } from './processes.ts';

const started: ChildProcess[] = [];

afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

async function start(guest: string, script: string): Promise<ChildProcess> {
  const env = { PATH: process.env.PATH ?? '', [guestMark]: guest };
  const child = spawn(process.execPath, ['-e', script], { env, stdio: ['ignore', 'pipe', 'ignore'] });
  started.push(child);
  await once(child.stdout ?? child, 'data');
  return child;
}

const waits = "process.stdout.write('up'); setInterval(() => {}, 1000);";
const stubborn = `process.on('SIGTERM', () => {}); ${waits}`;
/** A child in a session of its own whose parent is gone: what Flower's apps become when Flower is killed. */
const leavesAnOrphan = `
  const { spawn } = require('node:child_process');
  const orphan = spawn(process.execPath, ['-e', ${JSON.stringify(stubborn)}], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  orphan.stdout.once('data', () => { process.stdout.write('up'); process.exit(0); });
`;

describe('processes of a guest', () => {
  it('are found by their mark alone', async () => {
    const guest = `/test/${process.pid}/a`;
    const mine = await start(guest, waits);
    await start(`${guest}b`, waits);
    expect((await processesOf(guest)).map(({ pid }) => pid)).toEqual([mine.pid]);
  });

  it('are all ended, orphans in other sessions and those that ignore SIGTERM too', async () => {
    const guest = `/test/${process.pid}/c`;
    await start(guest, leavesAnOrphan);
    await start(guest, stubborn);
    await expect.poll(async () => (await processesOf(guest)).length).toBe(2);
    await expect(endProcesses(guest, systemClock, 300)).resolves.toBe(2);
    await expect(processesOf(guest)).resolves.toEqual([]);
  });

  it('are told from others with the same id by their start time', async () => {
    const child = await start(`/test/${process.pid}/d`, waits);
    await expect(startTimeOf(child.pid ?? 0)).resolves.toMatch(/^\d+$/);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await expect(startTimeOf(child.pid ?? 0)).resolves.toBeUndefined();
  });
});
