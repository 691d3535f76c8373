import { afterEach, beforeEach, expect, it } from 'vitest';
import { openTestCloud, type TestCloud } from '../testing/cloud.ts';

let cloud: TestCloud;

beforeEach(async () => {
  cloud = await openTestCloud();
});

afterEach(() => cloud.oned.close());

/** How many addresses of a network are given out. */
function leases(network: number): number {
  return String(cloud.call('one.vn.info', network)).split('<LEASE>').length - 1;
}

async function makeNetwork(name: string, range: string): Promise<number> {
  const id = cloud.call('one.vn.allocate', `NAME="${name}"\nVN_MAD="dummy"\nAR=[${range}]`, -1);
  await cloud.settle();
  return Number(id);
}

async function attach(vm: number, network: number): Promise<void> {
  cloud.call('one.vm.attachnic', vm, `NIC=[NETWORK_ID="${network}"]`);
  await cloud.settle();
}

it('gives back the address of a NIC without IP, and no other one', async () => {
  const plain = await makeNetwork('plain', 'TYPE="ETHER",SIZE="4"');
  const id = cloud.vm();
  await cloud.settle();
  await attach(id, plain);
  await attach(id, plain);
  expect([leases(0), leases(plain)]).toEqual([1, 2]);
  cloud.call('one.vm.detachnic', id, 1);
  expect([leases(0), leases(plain)]).toEqual([1, 1]);
  expect(cloud.textOf(id, 'NIC_ID')).toBe('0');
});

it('gives back an address in its own network only', async () => {
  const twin = await makeNetwork('twin', 'TYPE="IP4",IP="10.0.0.5",SIZE="3"');
  const id = cloud.vm();
  await cloud.settle();
  await attach(id, twin);
  cloud.call('one.vm.detachnic', id, 1);
  expect([leases(0), leases(twin)]).toEqual([1, 0]);
});
