import { chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FlowerEvent } from '@oneflower/contract';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCloud, ownApp, type ServiceView } from '../support/embedded-cloud.ts';
import { listen } from '../support/network.ts';
import { findProcess } from '../support/processes.ts';
import { until } from '../support/until.ts';

const trainingApp = join(import.meta.dirname, '..', 'support', 'misbehaving-app');
const long = 240_000;
const patient = { timeout: 150_000, interval: 1000 };

/** Nobody does anything in these tests but what breaks the service and what a person would look at. */
describe('a service', () => {
  const cloud = new EmbeddedCloud();
  let healthy: ServiceView;
  let superLink: number;
  let nodes: [number, number];

  beforeAll(async () => {
    await cloud.document('cloud', 'start');
    await cloud.document('deploy', 'victim', '--nodes', '2');
    healthy = await cloud.status('victim');
    const [link, first, second] = healthy.vms.map(({ id }) => id);
    superLink = link ?? -1;
    nodes = [first ?? -1, second ?? -1];
  }, long);
  afterEach(context => cloud.explain(context));
  afterAll(() => cloud.remove());

  /** Until all are ready and online, with the identities that they had. */
  async function recovered(): Promise<void> {
    await expect
      .poll(async () => {
        const { vms, flower } = await cloud.status('victim');
        const online = flower?.nodes.filter(node => node.online).map(({ vmId }) => vmId);
        return { ready: vms.map(({ ready, error }) => error?.code ?? ready), online: online?.toSorted() };
      }, patient)
      .toEqual({ ready: [true, true, true], online: nodes });
    expect(identities(await cloud.status('victim'))).toEqual(identities(healthy));
  }

  async function submit(...config: string[]): Promise<string> {
    const overrides = config.flatMap(pair => ['-c', pair]);
    const { run } = await cloud.document('run', 'submit', 'victim', ownApp, ...overrides);
    return (run as { runId: string }).runId;
  }

  async function trains(): Promise<void> {
    const { code, stderr } = await cloud.run('run', 'submit', 'victim', ownApp, '--wait');
    expect(code, stderr).toBe(0);
  }

  async function atWork(round: number): Promise<void> {
    const log = async () => (await cloud.run('run', 'logs', 'victim')).stdout;
    await expect.poll(log, patient).toContain(`round ${round}:`);
  }

  async function pidOf(vm: number, program: string): Promise<number> {
    return (await until(`${program} of VM ${vm}`, () => findProcess(cloud.root(vm), program))).pid;
  }

  it('survives kill -9 of flower-superlink in mid-run, and says what the run lost', { timeout: long }, async () => {
    const runId = await submit('rounds=100', 'round-seconds=1');
    await atWork(1);
    const orphan = await pidOf(superLink, 'flwr-serverapp');
    const watch = cloud.begin('run', 'watch', 'victim');
    await until('the run is followed', () => watch.said.stderr !== '');
    process.kill(await pidOf(superLink, 'flower-superlink'), 'SIGKILL');
    const { code, stdout, stderr } = await watch.ended;
    expect(code).toBe(1);
    expect(stderr).toContain('flower-superlink ended (SIGKILL)');
    const lost = /The run was lost because its ServerApp ended without a word.*Submit it again/;
    expect(stdout).toMatch(lost);
    expect((await cloud.run('run', 'list', 'victim')).stdout).toMatch(lost);
    expect((await cloud.run('status', 'victim')).stdout).toMatch(lost);
    const { runs } = await cloud.document('run', 'list', 'victim');
    expect(runs).toMatchObject([{ runId, status: 'failed' }]);
    await expect.poll(() => isAlive(orphan), patient).toBe(false);
    await recovered();
    await trains();
  });

  it('survives the loss of every process of its nodes, and of the cloud', { timeout: long }, async () => {
    const [first, second] = nodes;
    process.kill(await pidOf(first, 'flower-supernode'), 'SIGKILL');
    const { pid } = (await cloud.document('cloud', 'status')).cloud as { pid: number };
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => isAlive(pid)).toBe(false);
    const away = await cloud.run('status', 'victim');
    expect(away.code).toBe(3);
    expect(away.stderr).toContain('oneflower cloud start');
    // While no cloud looks after it, an agent dies and leaves its Flower running.
    const left = await pidOf(second, 'flower-supernode');
    process.kill(await agentOf(second), 'SIGKILL');
    await cloud.document('cloud', 'start');
    await expect.poll(() => isAlive(left), patient).toBe(false);
    // Flower takes a killed node's key for taken for a minute: the node says so once, and is back by itself.
    await expect.poll(() => cloud.log(first), patient).toContain('refuses its key');
    await expect.poll(() => cloud.log(first), patient).toContain('lists this node online again');
    await recovered();
    expect(cloud.log(first).match(/refuses its key/g)).toHaveLength(1);
    await trains();
  });

  it('ends a round without a node that was killed in it, long before its time limit, and has it in the next', {
    timeout: long,
  }, async () => {
    const config = { 'num-server-rounds': 2, 'round-timeout': 1000, 'round-seconds': 5, 'min-available-clients': 2 };
    const overrides = Object.entries(config).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
    const training = cloud.begin('run', 'submit', 'victim', trainingApp, ...overrides, '--wait');
    await pidOf(nodes[0], 'flwr-clientapp');
    process.kill(await pidOf(nodes[0], 'flower-supernode'), 'SIGKILL');
    const { code, stderr } = await training.ended;
    expect(code, stderr).toBe(0);
    const told = eventsOf(superLink);
    expect(told.filter(({ event }) => event === 'client_failure' || event === 'round_end')).toMatchObject([
      { event: 'client_failure', data: { round: 1, error: expect.stringContaining('Node Unavailable') } },
      { event: 'round_end', data: { round: 1, num_clients_responded: 1, num_clients_failed: 1 } },
      { event: 'round_end', data: { round: 2, num_clients_responded: 2, num_clients_failed: 0 } },
    ]);
    // Its Flower was not started, and so could not be let in, before the SuperLink had listed the node offline.
    const nodeId = healthy.vms.find(({ id }) => id === nodes[0])?.nodeId;
    const left = told.findLast(({ event, data }) => event === 'client_leave' && data.node_id === nodeId);
    const started = eventsOf(nodes[0]).findLast(
      ({ event, data }) => event === 'process_started' && data.name === 'flower-supernode',
    );
    expect(left).toBeDefined();
    expect(Date.parse(started?.timestamp ?? '')).toBeGreaterThan(Date.parse(left?.timestamp ?? ''));
    await recovered();
  });

  it('says which port is taken when its SuperLink comes back, and recovers when it is free', {
    timeout: long,
  }, async () => {
    const ip = healthy.vms[0]?.ip ?? '';
    await cloud.oned.vms.act(superLink, 'poweroff-hard');
    await expect.poll(async () => (await cloud.oned.vms.get(superLink)).state, patient).toBe('POWEROFF');
    const squatter = await listen(ip, 9092);
    await cloud.oned.vms.act(superLink, 'resume');
    const error = async () => (await cloud.status('victim')).vms[0]?.error;
    await expect.poll(async () => (await error())?.code, patient).toBe('port_taken');
    expect((await error())?.text).toMatch(/9092.*Another process listens on that port\. Choose another port/);
    expect((await cloud.run('status', 'victim')).stdout).toContain('port_taken');
    squatter?.close();
    await recovered();
  });

  it('comes back after a reboot of its SuperLink and a loss of power at a node', { timeout: long }, async () => {
    await cloud.oned.vms.act(superLink, 'reboot');
    await cloud.oned.vms.act(nodes[0], 'poweroff-hard');
    await expect.poll(async () => (await cloud.oned.vms.get(nodes[0])).state, patient).toBe('POWEROFF');
    const data = join(cloud.root(nodes[0]), 'opt/flower/data');
    mkdirSync(data, { recursive: true });
    chmodSync(data, 0o000);
    await cloud.oned.vms.act(nodes[0], 'resume');
    const error = async () => (await cloud.status('victim')).vms.find(({ id }) => id === nodes[0])?.error;
    await expect.poll(async () => (await error())?.code, patient).toBe('data_unreadable');
    expect((await error())?.text).toContain(data);
    expect((await error())?.text).toContain('Correct the permissions');
    chmodSync(data, 0o755);
    await recovered();
    await trains();
  });

  function eventsOf(vm: number): FlowerEvent[] {
    const text = readFileSync(join(cloud.root(vm), 'var/lib/oneflower/events.jsonl'), 'utf8');
    return text
      .split('\n')
      .filter(Boolean)
      .map(line => JSON.parse(line) as FlowerEvent);
  }

  async function agentOf(vm: number): Promise<number> {
    return pidOf(vm, 'node');
  }
});

function identities({ vms }: ServiceView): unknown[] {
  return vms.map(({ id, ip, nodeId, partitionId }) => ({ id, ip, nodeId, partitionId }));
}

/** A zombie, which nobody has asked about yet, has no command line any more. */
function isAlive(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== '';
  } catch {
    return false;
  }
}
