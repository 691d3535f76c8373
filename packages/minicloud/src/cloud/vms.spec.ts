import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDummyDriver } from '../drivers/dummy.ts';
import { openTestCloud, session, type TestCloud } from '../oned/testing/cloud.ts';
import { type CloudFiles, cloudFiles, readJson } from './files.ts';
import { powerOffVms, resumeVms } from './vms.ts';

let files: CloudFiles;
let open: TestCloud[];

beforeEach(() => {
  files = cloudFiles(mkdtempSync(join(tmpdir(), 'vms-')));
  open = [];
});

afterEach(() => {
  for (const { oned } of open) oned.close();
  rmSync(files.directory, { recursive: true, force: true });
});

async function start(driver = createDummyDriver()): Promise<TestCloud> {
  const cloud = await openTestCloud({ file: files.state, driver });
  open.push(cloud);
  return cloud;
}

/** A cloud whose stop was cut off, as a kill leaves it, while its VM was shutting down. */
async function cutOff() {
  const before = await start();
  const vm = before.vm();
  await before.settle();
  const release = before.driver.hold('shutdown');
  void powerOffVms(before.oned, session, before.clock, files);
  await before.settle();
  expect(before.stateOf(vm)).toBe('3/18');
  return { vm, release, driver: before.driver };
}

describe('a stop that was cut off', () => {
  it('brings a VM back that is still shutting down, as soon as it is off', async () => {
    const { vm, release, driver } = await cutOff();
    const after = await start(driver);
    resumeVms(after.oned, session, files);
    expect(after.stateOf(vm)).toBe('3/18');
    expect(readJson(files.resume)).toEqual([vm]);
    release();
    await after.settle();
    await after.settle();
    expect(after.stateOf(vm)).toBe('3/3');
    expect(readJson(files.resume)).toEqual([]);
  });

  it('is remembered by a second stop', async () => {
    const { vm, release, driver } = await cutOff();
    const second = await start(driver);
    const other = second.vm();
    await second.settle();
    resumeVms(second.oned, session, files)();
    const stopped = powerOffVms(second.oned, session, second.clock, files);
    release();
    await second.clock.advance(1000);
    expect(await stopped).toEqual([]);
    expect([vm, other].map(second.stateOf)).toEqual(['8/0', '8/0']);

    const third = await start(driver);
    resumeVms(third.oned, session, files);
    await third.settle();
    expect([vm, other].map(third.stateOf)).toEqual(['3/3', '3/3']);
  });

  it('leaves a VM alone that somebody terminates in the meantime', async () => {
    const { vm, release, driver } = await cutOff();
    const after = await start(driver);
    resumeVms(after.oned, session, files);
    after.call('one.vm.recover', vm, 3);
    release();
    await after.settle();
    await after.settle();
    expect(after.stateOf(vm)).toBe('6/0');
    expect(readJson(files.resume)).toEqual([]);
  });
});
