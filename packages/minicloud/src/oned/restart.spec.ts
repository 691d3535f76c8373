import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FakeClock } from '@oneflower/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDummyDriver } from '../drivers/dummy.ts';
import { createOned } from './index.ts';
import { openTestCloud, session } from './testing/cloud.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'oned-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const file = (): string => join(folder, 'oned.db');

describe('a cloud that was killed', () => {
  it('adopts guests that still run and marks those that do not', async () => {
    const before = await openTestCloud({ file: file() });
    const [alive, dead] = [before.vm(), before.vm()];
    await before.settle();
    before.driver.kill(dead);
    // The first cloud is not closed: its file is taken over as a kill leaves it.
    const after = await openTestCloud({ file: file(), driver: before.driver, monitorMs: 50 });
    expect(after.stateOf(alive)).toBe('3/3');
    expect(after.stateOf(dead)).toBe('8/0');
    after.oned.close();
    before.oned.close();
  });

  it('takes up what was under way', async () => {
    const driver = createDummyDriver();
    const before = await openTestCloud({ file: file(), driver });
    const [starting, ending] = [before.vm(), before.vm()];
    await before.settle();
    driver.hold('shutdown');
    before.call('one.vm.action', 'terminate', ending);
    const release = driver.hold('deploy');
    before.call('one.vm.recover', starting, 4);
    const waiting = before.vm('', true);
    await before.settle();
    expect([ending, starting].map(before.stateOf)).toEqual(['3/12', '3/15']);

    const fresh = createDummyDriver();
    const after = await openTestCloud({ file: file(), driver: fresh });
    await after.settle();
    expect(after.stateOf(ending)).toBe('6/0');
    expect(after.stateOf(starting)).toBe('3/3');
    expect(after.stateOf(waiting)).toBe('2/0');
    expect(fresh.running()).toEqual([starting]);
    release();
    after.oned.close();
    before.oned.close();
  });

  it('does not start a guest twice whose start was not noted', async () => {
    const driver = createDummyDriver();
    const before = await openTestCloud({ file: file(), driver });
    const release = driver.hold('deploy');
    const id = before.vm();
    await before.settle();
    expect(before.stateOf(id)).toBe('3/2');

    const fresh = createDummyDriver();
    await fresh.deploy({ id, name: 'x', address: undefined, contextFiles: {} });
    fresh.failNext('deploy', 'started twice');
    const after = await openTestCloud({ file: file(), driver: fresh });
    await after.settle();
    expect(after.stateOf(id)).toBe('3/3');
    release();
    after.oned.close();
    before.oned.close();
  });

  it('lets a request that comes first have its way, once', async () => {
    const before = await openTestCloud({ file: file() });
    const id = before.vm();
    await before.settle();
    const fresh = createDummyDriver();
    let ends = 0;
    const driver = {
      ...fresh,
      isRunning: async () => true,
      async shutdown() {
        ends += 1;
      },
    };
    const clock = new FakeClock();
    const oned = createOned({ file: file(), clock, driver, admin: { name: 'oneadmin', password: 'secret' } });
    oned.call(session, 'one.vm.action', 'terminate', id);
    await clock.advance(100);
    expect(ends).toBe(1);
    expect(String(Object.values(oned.call(session, 'one.vm.info', id))[1])).toContain('<STATE>6</STATE>');
    oned.close();
    before.oned.close();
  });

  it('keeps ids, accounts, tokens and leases', async () => {
    const before = await openTestCloud({ file: file() });
    before.call('one.user.allocate', 'tester', 'pw', 'core');
    const token = String(before.call('one.user.login', 'tester', '', 3600, -1));
    const id = before.vm();
    before.refusal('one.vn.allocate', 'NAME="x"', -1);
    const secret = before.oned.gateSecret(id);

    const after = await openTestCloud({ file: file() });
    expect(after.oned.call(`tester:${token}`, 'one.user.info', -1).ok).toBe(true);
    expect(after.oned.gateSecret(id)?.tokenPassword).toBe(secret?.tokenPassword);
    expect(after.textOf(after.vm(), 'IP')).toBe('10.0.0.6');
    // Network 1 was refused and its id is used up.
    expect(after.call('one.vn.allocate', 'NAME="y"\nVN_MAD="dummy"', -1)).toBe(2);
    after.oned.close();
    before.oned.close();
  });

  it('has every call that was answered and no half of one, after kill -9', async () => {
    const script = fileURLToPath(new URL('./testing/writer.ts', import.meta.url));
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script, file()], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let answered = '';
    child.stdout.on('data', part => {
      answered += String(part);
      if (answered.split('\n').length > 40) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const last = Number(answered.trimEnd().split('\n').at(-1));
    const after = await openTestCloud({ file: file() });
    const pool = String(after.call('one.documentpool.info', -2, -1, -1, 7));
    const ids = [...pool.matchAll(/<DOCUMENT><ID>(\d+)<\/ID>/g)].map(([, id]) => Number(id));
    expect(ids[0]).toBeGreaterThanOrEqual(last);
    expect(ids.reverse()).toEqual(Array.from({ length: ids.length }, (_, id) => id));
    after.oned.close();
  });
});
