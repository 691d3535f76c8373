import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock, OneFlowerError } from '@oneflower/contract';
import { CloudFailure } from '@oneflower/opennebula';
import { describe, expect, it } from 'vitest';
import type { Cloud } from '../cloud.ts';
import { examine, type Finding } from './doctor.ts';
import { diskCheck, embeddedCheck, nodeCheck, portsCheck, pythonCheck } from './machine.ts';
import { remoteChecks } from './remote.ts';

async function only(finding: Promise<Finding[]>): Promise<Finding> {
  const [first] = await finding;
  if (!first) throw new Error('There is no finding.');
  return first;
}

describe('this machine', () => {
  it.each([
    ['v24.1.0', 'ok'],
    ['v20.0.0', 'ok'],
    ['v18.19.0', 'error'],
  ])('Node %s is %s', async (version, status) => {
    expect(await only(examine([nodeCheck(version)]))).toMatchObject({ id: 'node', status });
  });

  it('without a Python that serves has the remedy of who looked for it', async () => {
    const missing = new OneFlowerError({
      code: 'python-missing',
      message: 'No Python.',
      reason: 'Why.',
      remedy: 'Install it.',
    });
    const finding = await only(examine([pythonCheck(() => Promise.reject(missing))]));
    expect(finding).toEqual({ id: 'python', status: 'error', message: 'No Python. Why.', remedy: 'Install it.' });
  });

  it('has space, or a folder that cannot be made', async () => {
    const home = await mkdtemp(join(tmpdir(), 'oneflower-doctor-'));
    expect(await only(examine([diskCheck(home)]))).toMatchObject({ message: expect.stringContaining('MB are free') });
    expect(await only(examine([diskCheck(join(import.meta.filename, 'home'))]))).toMatchObject({ status: 'error' });
    await rm(home, { recursive: true });
  });

  it('has an embedded cloud that runs, is stopped, or never was', async () => {
    const check = async (state: { running: boolean; urls: string[] } | undefined) =>
      (await only(examine([embeddedCheck(async () => state)]))).status;
    expect(await check({ running: true, urls: [] })).toBe('ok');
    expect(await check({ running: false, urls: [] })).toBe('warning');
    expect(await check(undefined)).toBe('ok');
  });

  it('has somebody else on the address of a stopped embedded cloud', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const check = portsCheck(async () => ({ running: false, urls: [`http://127.0.0.1:${port}/RPC2`] }));
    expect(await only(examine([check]))).toMatchObject({
      status: 'error',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
    server.close();
    await once(server, 'close');
    expect(await only(examine([check]))).toMatchObject({ status: 'ok' });
  });
});

describe('the cloud', () => {
  const clock = new FakeClock(Date.UTC(2026, 0, 1, 12, 0, 0));
  const image = { id: 0, name: 'OneFlower', uname: 'oneadmin', state: 'READY' };
  const cloud = {
    access: { endpoint: 'http://front/RPC2', oneflowUrl: 'http://front:2474', cloud: 'site', user: 'oneadmin' },
    oned: {
      system: { version: async () => '7.5.80' },
      users: { self: async () => ({ name: 'oneadmin' }) },
      images: { list: async () => [image] },
      networks: { list: async () => [{ id: 3, name: 'lan', uname: 'oneadmin' }] },
    },
    oneflow: { services: { list: async () => [] } },
  } as unknown as Cloud;

  function findings(found: Cloud, date: string | null) {
    return examine(remoteChecks({ cloud: async () => found, clock, dateHeader: async () => date }));
  }

  it('that is well is said to be', async () => {
    const found = await findings(cloud, 'Thu, 01 Jan 2026 12:00:02 GMT');
    expect(found.map(({ id, status }) => `${id} ${status}`)).toEqual([
      'endpoint ok',
      'login ok',
      'oneflow ok',
      'clock ok',
      'image-and-network ok',
    ]);
  });

  it.each([
    ['Thu, 01 Jan 2026 12:01:00 GMT', 'warning'],
    ['Thu, 01 Jan 2026 10:00:00 GMT', 'error'],
    [null, 'warning'],
  ])('whose clock says %s: %s', async (date, status) => {
    expect((await findings(cloud, date)).find(({ id }) => id === 'clock')).toMatchObject({ status });
  });

  it('that refuses the login: the endpoint answers, so each of the others says what is wrong', async () => {
    const refused = new CloudFailure({ server: 'oned', call: 'one.user.info', kind: 'unauthenticated' });
    const users = { self: () => Promise.reject(refused) };
    const found = await findings({ ...cloud, oned: { ...cloud.oned, users } } as unknown as Cloud, null);
    expect(found.find(({ id }) => id === 'login')).toMatchObject({
      status: 'error',
      remedy: expect.stringContaining('one_auth'),
    });
  });

  it('that does not answer is one error, not five', async () => {
    const down = new CloudFailure({ server: 'oned', call: 'one.system.version', kind: 'unreachable' });
    const system = { version: () => Promise.reject(down) };
    const found = await findings({ ...cloud, oned: { ...cloud.oned, system } } as unknown as Cloud, null);
    expect(found.map(({ status }) => status)).toEqual(['error', 'warning', 'warning', 'warning', 'warning']);
  });
});
