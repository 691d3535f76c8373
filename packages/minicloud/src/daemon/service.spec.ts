import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@oneflower/contract';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { cloudFiles } from '../cloud/files.ts';
import { TestClient, until } from '../cloud/testing.ts';
import { openCloud } from '../cloud.ts';
import { createDummyDriver } from '../drivers/dummy.ts';
import { linuxProcesses } from '../drivers/process/proc.ts';
import {
  type DaemonProgress,
  daemonStatus,
  type RunningDaemon,
  resetCloud,
  startDaemon,
  stopDaemon,
} from './service.ts';

/** Reports READY through OneGate once the file that it is told of is there. */
const AGENT = `
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
const [, , go, ...args] = process.argv;
const at = name => args[args.indexOf(name) + 1];
appendFileSync(at('--root') + '/starts', process.pid + '\\n');
process.on('SIGTERM', () => process.exit(0));
const timer = setInterval(async () => {
  if (!existsSync(go)) return;
  const context = readFileSync(at('--context') + '/context.sh', 'utf8');
  const of = name => new RegExp('^' + name + "='(.*)'$", 'm').exec(context)[1];
  const token = readFileSync(at('--context') + '/token.txt', 'utf8').trim();
  const headers = { 'X-ONEGATE-TOKEN': token, 'X-ONEGATE-VMID': of('VMID') };
  try {
    const response = await fetch(of('ONEGATE_ENDPOINT') + '/vm', { method: 'PUT', headers, body: 'READY=YES' });
    if (response.ok) clearInterval(timer);
  } catch {}
}, 100);
setInterval(() => undefined, 1000);
`;

let root: string;
let directory: string;
let go: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'daemon-'));
  directory = join(root, 'cloud');
  go = join(root, 'go');
  writeFileSync(join(root, 'agent.mjs'), AGENT);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await resetCloud({ directory });
  rmSync(root, { recursive: true, force: true });
});

interface Wishes {
  driver?: 'dummy';
  entry?: string;
  onProgress?: (progress: DaemonProgress) => void;
}

function start({ driver, ...rest }: Wishes = {}): Promise<RunningDaemon> {
  if (driver === 'dummy') return startDaemon({ directory, driver, ...rest });
  const agentCommand = { file: process.execPath, args: [join(root, 'agent.mjs'), go] };
  return startDaemon({ directory, driver: 'process', agentCommand, ...rest });
}

const startsOf = (vm: number) => {
  const file = join(directory, 'vms', String(vm), 'root', 'starts');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').map(Number) : [];
};

test('starts in the background, says how far it is, and stops', async () => {
  const progress: DaemonProgress[] = [];
  const { pid, endpoints } = await start({ onProgress: step => progress.push(step) });
  expect(progress.map(({ kind }) => kind)).toEqual(['starting', 'answers', 'answers', 'answers', 'ready']);
  expect(await daemonStatus({ directory })).toMatchObject({ state: 'running', pid, endpoints, answers: true });
  expect(linuxProcesses.read(pid)?.session).toBe(pid);
  await expect(start()).rejects.toMatchObject({ code: 'cloud-running', details: { pid } });

  await stopDaemon({ directory, onProgress: step => progress.push(step) });
  expect(progress.slice(-2)).toEqual([{ kind: 'ending', pid, vms: true }, { kind: 'ended' }]);
  expect(linuxProcesses.read(pid)).toBeUndefined();
  expect(await daemonStatus({ directory })).toEqual({ state: 'stopped', stale: false, kept: true });
  await stopDaemon({ directory });
});

test.each([
  ['a stop', stopDaemon, { state: 'stopped', stale: false }],
  ['a reset', resetCloud, { state: 'stopped', stale: false, kept: false }],
])('%s finds a cloud that is starting', async (_, end, left) => {
  const begun = Promise.withResolvers<number>();
  const started = start({ driver: 'dummy', onProgress: step => step.kind === 'starting' && begun.resolve(step.pid) });
  const refused = expect(started).rejects.toMatchObject({ code: 'cloud-start-stopped' });
  const pid = await begun.promise;
  expect(await daemonStatus({ directory })).toMatchObject({ state: 'starting', pid });
  await expect(start({ driver: 'dummy' })).rejects.toMatchObject({ code: 'cloud-starting' });
  await end({ directory });
  expect(linuxProcesses.read(pid)).toBeUndefined();
  await refused;
  expect(await daemonStatus({ directory })).toMatchObject(left);
});

test('a cloud that is stopped while it starts switches the VMs off that it has brought back', async () => {
  writeFileSync(go, '');
  const client = new TestClient((await start()).endpoints);
  const service = await client.deploy('flower');
  await until(async () => (await client.service(service)).state === 2);
  const { vms } = await client.service(service);
  await stopDaemon({ directory });

  const entry = join(root, 'stopped-early.mjs');
  const main = new URL('./main.ts', import.meta.url).href;
  // The signal comes as soon as there is somebody to take it.
  const signal = "setImmediate(() => process.kill(process.pid, 'SIGUSR2'))";
  writeFileSync(
    entry,
    `process.on('newListener', name => name === 'SIGUSR2' && ${signal});\nawait import(${JSON.stringify(main)});`,
  );
  await expect(start({ entry })).rejects.toMatchObject({ code: 'cloud-start-stopped' });
  await until(async () => (await daemonStatus({ directory })).state === 'stopped');
  for (const pid of vms.flatMap(startsOf)) expect(linuxProcesses.read(pid)).toBeUndefined();
  const before = vms.map(id => startsOf(id).length);
  await start();
  await until(() => vms.every((id, index) => startsOf(id).length === (before[index] ?? 0) + 1));
});

test('agents are told of the mirror that the cloud was started with', async () => {
  vi.stubEnv('PIP_INDEX_URL', 'https://mirror.example/simple');
  vi.stubEnv('ONE_AUTH', '/elsewhere/one_auth');
  const client = new TestClient((await start()).endpoints);
  const service = await client.deploy('flower');
  const [agent = 0] = await until(async () => {
    const { vms } = await client.service(service, 'superlink');
    return vms.length === 1 && startsOf(vms[0] ?? -1).length === 1 && startsOf(vms[0] ?? -1);
  });
  const environment = readFileSync(`/proc/${agent}/environ`, 'utf8').split('\0');
  expect(environment).toContain('PIP_INDEX_URL=https://mirror.example/simple');
  expect(environment.some(entry => entry.startsWith('ONE_AUTH='))).toBe(false);
});

test('a cloud that is killed in mid-deployment goes on where it was', async () => {
  const first = await start();
  const client = new TestClient(first.endpoints);
  const service = await client.deploy('flower');
  const [superlink = -1] = await until(async () => {
    const { vms } = await client.service(service, 'superlink');
    return vms.length === 1 && startsOf(vms[0] ?? -1).length === 1 && vms;
  });
  linuxProcesses.kill(first.pid, 'SIGKILL');
  await until(() => linuxProcesses.read(first.pid) === undefined);
  expect(await daemonStatus({ directory })).toEqual({ state: 'stopped', stale: true, kept: true });
  expect(linuxProcesses.read(startsOf(superlink)[0] ?? 0)).toBeDefined();

  const second = await start();
  expect(second.endpoints).toEqual(first.endpoints);
  writeFileSync(go, '');
  await until(async () => (await client.service(service)).state === 2);
  const { vms } = await client.service(service);
  expect(vms).toHaveLength(2);
  expect(startsOf(superlink)).toHaveLength(1);
});

test('stopping ends the VMs, and starting brings them back on their disks', async () => {
  writeFileSync(go, '');
  const client = new TestClient((await start()).endpoints);
  const service = await client.deploy('flower');
  await until(async () => (await client.service(service)).state === 2);
  const { vms } = await client.service(service);
  const before = vms.map(id => startsOf(id)[0] ?? 0);
  await stopDaemon({ directory });
  for (const pid of before) expect(linuxProcesses.read(pid)).toBeUndefined();
  await start();
  await until(() => vms.every(id => startsOf(id).length === 2));
  await until(async () => (await client.service(service)).state === 2);
});

test('stopping the service alone leaves the VMs running', async () => {
  writeFileSync(go, '');
  const client = new TestClient((await start()).endpoints);
  const service = await client.deploy('flower');
  await until(async () => (await client.service(service)).state === 2);
  const { vms } = await client.service(service);
  await stopDaemon({ directory, vms: false });
  for (const id of vms) expect(linuxProcesses.read(startsOf(id)[0] ?? 0)).toBeDefined();
  await start();
  await until(async () => (await client.service(service)).state === 2);
  for (const id of vms) expect(startsOf(id)).toHaveLength(1);
});

test('reset removes state and VMs, and nothing that is not the cloud', async () => {
  const client = new TestClient((await start()).endpoints);
  const service = await client.deploy('flower');
  const [superlink = -1] = await until(async () => {
    const { vms } = await client.service(service, 'superlink');
    return vms.length === 1 && startsOf(vms[0] ?? -1).length === 1 && vms;
  });
  const [agent = 0] = startsOf(superlink);
  writeFileSync(join(directory, 'notes.txt'), 'mine');
  await resetCloud({ directory });
  expect(readdirSync(directory)).toEqual(['notes.txt']);
  expect(linuxProcesses.read(agent)).toBeUndefined();
  expect(await daemonStatus({ directory })).toEqual({ state: 'stopped', stale: false, kept: false });
  rmSync(directory, { recursive: true });
});

test('a cloud that another program has open is not reset', async () => {
  await start({ driver: 'dummy' });
  await stopDaemon({ directory });
  const onError = () => undefined;
  const cloud = await openCloud({ directory, driver: createDummyDriver(), clock: systemClock, onError });
  await expect(resetCloud({ directory })).rejects.toMatchObject({ code: 'cloud-in-use' });
  expect(existsSync(cloudFiles(directory).state)).toBe(true);
  await cloud.close();
});

test('the process driver is not started without an agent', async () => {
  await expect(startDaemon({ directory, driver: 'process' })).rejects.toMatchObject({ code: 'bad-service-settings' });
  expect(await daemonStatus({ directory })).toMatchObject({ state: 'stopped' });
});

test('a damaged directory can be reset', async () => {
  await start({ driver: 'dummy' });
  await stopDaemon({ directory });
  writeFileSync(cloudFiles(directory).block, 'rubbish');
  await expect(start({ driver: 'dummy' })).rejects.toMatchObject({ code: 'state-damaged' });
  await resetCloud({ directory });
  await start({ driver: 'dummy' });
});

test('a pid file whose number belongs to another process now is no running cloud', async () => {
  const { pid, endpoints } = await start({ driver: 'dummy' });
  await stopDaemon({ directory });
  const stranger = { pid: process.pid, startTime: 1, bootId: linuxProcesses.bootId(), since: 0, endpoints };
  writeFileSync(cloudFiles(directory).pid, JSON.stringify(stranger));
  expect(await daemonStatus({ directory })).toMatchObject({ state: 'stopped', stale: true });
  await stopDaemon({ directory });
  expect((await start({ driver: 'dummy' })).pid).not.toBe(pid);
});

test('an address that another program has taken is named', async () => {
  const { endpoints } = await start({ driver: 'dummy' });
  await stopDaemon({ directory });
  const { hostname, port } = new URL(endpoints.onegate);
  const squatter = createServer();
  squatter.listen(Number(port), hostname);
  await once(squatter, 'listening');
  await expect(start({ driver: 'dummy' })).rejects.toMatchObject({
    code: 'cloud-address-taken',
    message: expect.stringContaining(hostname),
    remedy: expect.stringContaining('ss -ltnp'),
  });
  squatter.close();
  await once(squatter, 'close');
});

test('a service that ends at once is reported with its log', async () => {
  const entry = join(root, 'broken.mjs');
  writeFileSync(entry, 'console.error("no good"); process.exit(7);');
  await expect(start({ entry })).rejects.toMatchObject({
    code: 'cloud-not-started',
    message: expect.stringContaining('code 7'),
    remedy: expect.stringContaining(cloudFiles(directory).log),
  });
  expect(readFileSync(cloudFiles(directory).log, 'utf8')).toContain('no good');
});
