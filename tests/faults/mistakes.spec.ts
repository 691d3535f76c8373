import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCloud, partitionsOf, type VmView } from '../support/embedded-cloud.ts';
import { findProcess } from '../support/processes.ts';
import { until } from '../support/until.ts';

const long = 240_000;
const patient = { timeout: 150_000, interval: 1000 };
const useCase = join(import.meta.dirname, '..', '..', 'flower', 'apps', 'anomaly-detection');

/** What people do to a service that works. Each is told what is wrong, and the service works again once it is mended. */
describe('a service', () => {
  const cloud = new EmbeddedCloud();

  beforeAll(async () => {
    await cloud.document('cloud', 'start');
    await cloud.document('deploy', 'victim', '--nodes', '2');
  }, long);
  afterEach(context => cloud.explain(context));
  afterAll(() => cloud.remove());

  async function nodes(): Promise<VmView[]> {
    return (await cloud.status('victim')).vms.filter(({ role }) => role === 'supernode');
  }

  async function errorOf(vm: number): Promise<VmView['error'] | undefined> {
    return (await cloud.status('victim')).vms.find(({ id }) => id === vm)?.error;
  }

  async function recovered(partitions: number[]): Promise<void> {
    await expect.poll(async () => partitionsOf(await cloud.status('victim')), patient).toEqual(partitions);
  }

  it('names all variables of a CONTEXT that are wrong, and runs nothing that is in them', {
    timeout: long,
  }, async () => {
    const [node] = await nodes();
    const vm = node?.id ?? -1;
    const planted = join(cloud.home, 'planted');
    const wrong = {
      FL_ISOLATION: `"'\`touch ${planted}\``,
      FL_MAX_RETRIES: `$(touch ${planted})`,
      FL_MAX_WAIT_TIME: `1\n2; touch ${planted}`,
      FL_LOG_LEVEL: '%s%n$HOME',
    };
    await cloud.recontext(vm, wrong);
    await expect.poll(async () => (await errorOf(vm))?.code, patient).toBe('config_validation_failed');
    const text = (await errorOf(vm))?.text ?? '';
    for (const name of Object.keys(wrong)) expect(text).toContain(name);
    expect(text).toContain('Correct the variables that are named');
    expect(existsSync(planted)).toBe(false);
    await cloud.recontext(vm, Object.fromEntries(Object.keys(wrong).map(name => [name, ''])));
    await recovered([0, 1]);
  });

  it('reads 10 MB and bytes of 0 on the CONTEXT CD, and refuses them', { timeout: long }, async () => {
    const [node] = await nodes();
    const vm = node?.id ?? -1;
    // oned takes neither, so the CD is changed as somebody with the disk at hand would.
    const cd = join(cloud.vmFolder(vm), 'context', 'context.sh');
    const before = readFileSync(cd, 'utf8');
    const agent = await until('the agent runs', () => findProcess(cloud.root(vm), 'node'));
    appendFileSync(cd, `FL_ISOLATION='${'x'.repeat(10_000_000)}'\nFL_LOG_LEVEL='IN\0FO'\n`);
    process.kill(agent.pid, 'SIGHUP');
    await expect.poll(async () => (await errorOf(vm))?.code, patient).toBe('config_validation_failed');
    const text = (await errorOf(vm))?.text ?? '';
    expect(text).toContain('FL_ISOLATION');
    expect(text).toContain('FL_LOG_LEVEL');
    expect(text.length).toBeLessThan(1000);
    writeFileSync(cd, before);
    process.kill(agent.pid, 'SIGHUP');
    await recovered([0, 1]);
  });

  it('says that the join token of a node is wrong', { timeout: long }, async () => {
    const [node] = await nodes();
    const vm = node?.id ?? -1;
    await cloud.recontext(vm, { FL_JOIN_TOKEN: 'not-the-token-of-this-service' });
    await expect.poll(async () => (await errorOf(vm))?.code, patient).toBe('enrolment_refused');
    expect((await errorOf(vm))?.text).toMatch(/The SuperLink refuses this node.*Set FL_JOIN_TOKEN/);
    expect(cloud.log(vm)).not.toContain('not-the-token-of-this-service');
    await cloud.recontext(vm, { FL_JOIN_TOKEN: '' });
    await recovered([0, 1]);
  });

  it('names file and line of bad rows in the data of a node', { timeout: long }, async () => {
    const [node] = await nodes();
    const folder = join(cloud.root(node?.id ?? -1), 'opt/flower/data');
    mkdirSync(folder, { recursive: true });
    const file = join(folder, 'sensors.csv');
    writeFileSync(file, 'a,b,label\n1,2,0\n1,two,0\n');
    const config = ['num-server-rounds=1', 'min-available-clients=2'].flatMap(pair => ['-c', pair]);
    const { code, stdout, stderr } = await cloud.run('run', 'submit', 'victim', useCase, ...config, '--wait');
    expect(code).toBe(1);
    const told = /sensors\.csv.*line 3.*column b.*two/;
    expect(stderr).toMatch(told);
    expect(stdout).toContain('1 of 2 nodes answered');
    expect((await cloud.run('run', 'logs', 'victim')).stdout).toMatch(told);
    rmSync(file);
    const { code: again } = await cloud.run('run', 'submit', 'victim', useCase, ...config, '--wait');
    expect(again).toBe(0);
  });

  it('gives the partition of a node that was deleted by hand to its replacement', { timeout: long }, async () => {
    const [gone, stays] = await nodes();
    await cloud.oned.vms.act(gone?.id ?? -1, 'terminate-hard');
    await expect.poll(async () => (await nodes()).map(({ id }) => id), patient).toEqual([stays?.id]);
    await expect.poll(async () => (await cloud.status('victim')).state, patient).toBe('RUNNING');
    await cloud.document('scale', 'victim', '2', '--wait');
    await recovered([0, 1]);
    const [kept, replacement] = await nodes();
    expect(kept).toMatchObject({ id: stays?.id, partitionId: stays?.partitionId });
    expect(replacement).toMatchObject({ partitionId: gone?.partitionId });
    expect(replacement?.nodeId).not.toBe(gone?.nodeId);
  });
});
