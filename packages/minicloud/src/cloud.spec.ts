import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@oneflower/contract';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TestClient, until } from './cloud/testing.ts';
import { type Cloud, openCloud } from './cloud.ts';
import { createDummyDriver, type DummyDriver } from './drivers/dummy.ts';
import { asHash } from './onegate/vm-json.ts';

let root: string;
let open: Cloud[];
let errors: unknown[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'cloud-'));
  open = [];
  errors = [];
});

afterEach(async () => {
  for (const cloud of open) await cloud.close();
  rmSync(root, { recursive: true, force: true });
  expect(errors).toEqual([]);
});

async function start(name = 'cloud', driver: DummyDriver = createDummyDriver()): Promise<Cloud> {
  const onError = (error: unknown) => errors.push(error);
  const cloud = await openCloud({ directory: join(root, name), driver, clock: systemClock, onError });
  open.push(cloud);
  return cloud;
}

async function stop(cloud: Cloud, vms: boolean): Promise<number[]> {
  open = open.filter(other => other !== cloud);
  return cloud.close({ vms });
}

/** What the contextualization of a VM does: READY with its own token, at the endpoint that its context names. */
async function reportReady(driver: DummyDriver, vmId: number): Promise<number> {
  const files = driver.contextOf(vmId) ?? {};
  const script = files['context.sh'] ?? '';
  const [endpoint, id] = ['ONEGATE_ENDPOINT', 'VMID'].map(
    name => new RegExp(`^${name}='(.*)'$`, 'm').exec(script)?.[1],
  );
  const headers = { 'X-ONEGATE-TOKEN': files['token.txt']?.trim() ?? '', 'X-ONEGATE-VMID': id ?? '' };
  const response = await fetch(`${endpoint}/vm`, { method: 'PUT', headers, body: 'FL_STATE=up\nREADY=YES' });
  return response.status;
}

test('a service is registered, deployed role by role, scaled and deleted over HTTP', async () => {
  const driver = createDummyDriver();
  const cloud = await start('cloud', driver);
  const client = new TestClient(cloud.endpoints);
  const service = await client.deploy('flower');
  const [superlink = -1] = await until(async () => {
    const { vms } = await client.service(service, 'superlink');
    return vms.every(id => driver.running().includes(id)) && vms.length === 1 && vms;
  });
  expect((await client.service(service)).vms).toEqual([]);
  expect(await reportReady(driver, superlink)).toBe(200);

  const nodes = await until(async () => {
    const { vms } = await client.service(service);
    return vms.length === 2 && vms.every(id => driver.running().includes(id)) && vms;
  });
  expect((await client.service(service)).state).toBe(1);
  for (const id of nodes) expect(await reportReady(driver, id)).toBe(200);
  await until(async () => (await client.service(service)).state === 2);

  expect(
    (await client.flow('POST', `/service/${service}/scale`, { role_name: 'supernode', cardinality: 3, force: false }))
      .status,
  ).toBe(204);
  const added = await until(async () => {
    const fresh = (await client.service(service)).vms.find(id => !nodes.includes(id));
    return fresh !== undefined && driver.running().includes(fresh) ? fresh : undefined;
  });
  expect(await reportReady(driver, added ?? -1)).toBe(200);
  await until(async () => (await client.service(service)).state === 2);

  expect((await client.flow('DELETE', `/service/${service}`)).status).toBe(204);
  await until(async () => (await client.service(service)).state === -1);
  expect(driver.running()).toEqual([]);
});

test('a token opens its own VM only', async () => {
  const driver = createDummyDriver();
  const client = new TestClient((await start('cloud', driver)).endpoints);
  const service = await client.deploy('flower');
  await until(async () => (await client.service(service, 'superlink')).vms.some(id => driver.running().includes(id)));
  const [id = -1] = (await client.service(service, 'superlink')).vms;
  const files = driver.contextOf(id) ?? {};
  driver.contextOf(id);
  const foreign = { ...files, 'token.txt': 'AAAAAAAAAAAAAAAAAAAAAA==' };
  const other: DummyDriver = { ...driver, contextOf: () => foreign };
  expect(await reportReady(other, id)).toBe(401);
});

test('six clouds on one machine do not meet', async () => {
  const clouds = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(name => start(name)));
  const addresses = await Promise.all(
    clouds.map(async ({ endpoints }) => {
      const client = new TestClient(endpoints);
      const id = Number(await client.call('one.vm.allocate', 'CPU="1"\nMEMORY="64"\nNIC=[NETWORK="oneflower"]', true));
      const nic = asHash(asHash((await client.vm(id)).TEMPLATE).NIC);
      const front = new URL(endpoints.xmlrpc).hostname;
      expect(nic.IP).toBe(front.replace(/\.0\.1$/, '.1.1'));
      return front;
    }),
  );
  expect(new Set(addresses).size).toBe(6);
});

test('the same directory cannot be opened twice', async () => {
  await start();
  await expect(start()).rejects.toMatchObject({ code: 'cloud-address-taken' });
});

test('everything is kept over a stop, and VMs that were switched off with the cloud come back with it', async () => {
  const driver = createDummyDriver();
  const first = await start('cloud', driver);
  const client = new TestClient(first.endpoints);
  const vm = 'CPU="1"\nMEMORY="64"\nNIC=[NETWORK="oneflower"]\nLABEL="mine"';
  const id = Number(await client.call('one.vm.allocate', vm));
  const off = Number(await client.call('one.vm.allocate', 'CPU="1"\nMEMORY="64"'));
  await until(() => driver.running().length === 2);
  await until(async () => (await client.vm(off)).LCM_STATE === '3' && (await client.vm(id)).LCM_STATE === '3');
  await client.call('one.vm.action', 'poweroff', off);
  await until(async () => (await client.vm(off)).STATE === '8');

  expect(await stop(first, true)).toEqual([]);
  expect(driver.running()).toEqual([]);
  const second = await start('cloud', driver);
  expect(second.endpoints).toEqual(first.endpoints);
  const again = new TestClient(second.endpoints);
  await until(async () => (await again.vm(id)).LCM_STATE === '3');
  expect(asHash((await again.vm(id)).USER_TEMPLATE).LABEL).toBe('mine');
  expect((await again.vm(off)).STATE).toBe('8');
  expect(driver.running()).toEqual([id]);
  expect(String(await again.call('one.hostpool.info')).match(/<HOST>/g)).toHaveLength(1);
});

test('the login is for its owner only, and its loss is said plainly', async () => {
  const cloud = await start();
  const { authFile } = cloud.endpoints;
  for (const file of [authFile, join(root, 'cloud', 'one.db')]) expect(statSync(file).mode & 0o777).toBe(0o600);
  await stop(cloud, false);
  rmSync(authFile);
  await expect(start()).rejects.toMatchObject({ code: 'login-file-missing', fault: 'user' });
});
