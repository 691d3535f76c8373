import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCloud, ownApp, type VmView } from '../support/embedded-cloud.ts';
import { findProcess, processesOf } from '../support/processes.ts';
import { until } from '../support/until.ts';

const long = 400_000;
const patient = { timeout: 200_000, interval: 1000 };
const useCase = join(import.meta.dirname, '..', '..', 'flower', 'apps', 'anomaly-detection');
const oneRound = ['-c', 'num-server-rounds=1', '-c', 'min-available-clients=2'];

/** Slow: each loss takes as long as Flower needs to notice it. */
describe.runIf(process.env.ONEFLOWER_FULL)('kill -9', () => {
  const cloud = new EmbeddedCloud();

  beforeAll(async () => {
    await cloud.document('cloud', 'start');
  }, long);
  afterEach(context => cloud.explain(context));
  afterAll(() => cloud.remove());

  async function vms(): Promise<VmView[]> {
    return (await cloud.status('victim')).vms;
  }

  async function nodes(): Promise<number[]> {
    return (await vms()).filter(({ role }) => role === 'supernode').map(({ id }) => id);
  }

  /** The pid of a program of a VM as soon as it runs. */
  async function pidOf(vm: number, program: string): Promise<number> {
    const found = await until(`${program} of VM ${vm}`, () => findProcess(cloud.root(vm), program), 120_000);
    return found.pid;
  }

  async function kill(vm: number, program: string): Promise<number> {
    const pid = await pidOf(vm, program);
    process.kill(pid, 'SIGKILL');
    return pid;
  }

  async function killCloud(): Promise<void> {
    const { pid } = (await cloud.document('cloud', 'status')).cloud as { pid: number };
    process.kill(pid, 'SIGKILL');
    await expect.poll(async () => (await processesOf(cloud.home)).map(one => one.pid), patient).not.toContain(pid);
  }

  async function recovered(): Promise<void> {
    await expect
      .poll(async () => {
        const { state, vms, flower } = await cloud.status('victim');
        return { state, ready: vms.map(({ ready }) => ready), online: flower?.nodes.map(({ online }) => online) };
      }, patient)
      .toEqual({ state: 'RUNNING', ready: [true, true, true], online: [true, true] });
  }

  async function trains(): Promise<void> {
    const { code, stderr } = await cloud.run('run', 'submit', 'victim', useCase, ...oneRound, '--wait');
    expect(code, stderr).toBe(0);
  }

  async function atWork(round: number): Promise<void> {
    await expect
      .poll(async () => (await cloud.status('victim')).flower?.run?.round ?? 0, patient)
      .toBeGreaterThanOrEqual(round);
  }

  /** `run watch` that has begun to follow. */
  async function watching(): Promise<ReturnType<EmbeddedCloud['begin']>> {
    const watch = cloud.begin('run', 'watch', 'victim');
    await until('the run is followed', () => watch.said.stderr !== '');
    return watch;
  }

  it('of everything in boot delays a service and no more', { timeout: long }, async () => {
    const variables = ['FL_USE_CASE=anomaly-detection', 'FL_NUM_ROUNDS=12'].flatMap(pair => ['--set', pair]);
    const deploying = cloud.run('deploy', 'victim', '--nodes', '2', ...variables);
    await kill(0, 'flower-superlink');
    await until('the agent sees it', () => cloud.log(0).includes('ended by itself'));
    await kill(0, 'node');
    await kill(0, 'flower-superlink');
    await kill(1, 'node');
    await kill(1, 'flower-supernode');
    await kill(2, 'flower-supernode');
    const { code, stderr } = await deploying;
    expect(code, stderr).toBe(0);
    await recovered();
  });

  it('of the agent of a SuperLink in mid-run interrupts the run, which goes on by itself', {
    timeout: long,
  }, async () => {
    await atWork(2);
    const watch = await watching();
    await kill(0, 'node');
    const { code, stdout, stderr } = await watch.ended;
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/interrupted in round \d+ of 12 because/);
    expect(stderr).toMatch(/Run \d+: (goes on from round \d+ of|starts over in place of) run \d+/);
    expect(stdout).toMatch(/Run \d+ is completed/);
    expect((await cloud.status('victim')).flower).toMatchObject({ waitingFor: null, run: { round: 12, rounds: 12 } });
    await recovered();
    await trains();
  });

  it.each(['node', 'flower-supernode'])('of %s of a SuperNode in mid-run', { timeout: long }, async program => {
    await recovered();
    const [first = -1] = await nodes();
    await cloud.document('run', 'submit', 'victim', ownApp, '-c', 'rounds=6', '-c', 'round-seconds=4');
    const app = await pidOf(first, 'flwr-clientapp');
    await kill(first, program);
    // Its app works for nobody any more: it does not go on for ever.
    await expect
      .poll(async () => (await processesOf(cloud.root(first))).map(one => one.pid), patient)
      .not.toContain(app);
    await recovered();
    const { run } = JSON.parse((await cloud.run('run', 'watch', 'victim', '--json')).stdout);
    expect(['completed', 'failed']).toContain(run.status);
    await trains();
  });

  it('of the cloud in mid-run is nothing that the run notices', { timeout: long }, async () => {
    await recovered();
    await cloud.document('run', 'submit', 'victim', ownApp, '-c', 'rounds=4', '-c', 'round-seconds=2');
    await pidOf(0, 'flwr-serverapp');
    const watch = await watching();
    await killCloud();
    expect((await cloud.run('status', 'victim')).code).toBe(3);
    await cloud.document('cloud', 'start');
    const { code, stderr } = await watch.ended;
    expect(code, stderr).toBe(0);
    await recovered();
  });

  it('of the cloud in the middle of a deployment leaves a service that comes up', { timeout: long }, async () => {
    await cloud.document('delete', 'victim');
    const deploying = cloud.run('deploy', 'victim', '--nodes', '2');
    await until('the SuperLink boots', async () => (await processesOf(cloud.vms)).length > 0);
    await killCloud();
    await cloud.document('cloud', 'start');
    await deploying;
    await recovered();
    await trains();
  });
});
