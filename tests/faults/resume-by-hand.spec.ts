import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunSummary } from '@oneflower/contract';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCloud, type Finished } from '../support/embedded-cloud.ts';
import { until } from '../support/until.ts';

const long = 240_000;
const repository = join(import.meta.dirname, '..', '..');
const anomalyDetection = join(repository, 'flower', 'apps', 'anomaly-detection');
const rounds = 10;
const mountPoint = '/mnt/checkpoints';
const variables = {
  FL_USE_CASE: 'anomaly-detection',
  FL_NUM_ROUNDS: String(rounds),
  FL_CHECKPOINT_INTERVAL: '2',
  FL_CHECKPOINT_PATH: mountPoint,
};

/** What a person does with the checkpoints of trainings that were interrupted, stopped or are done. */
describe.runIf(process.env.ONEFLOWER_FULL)('checkpoints', () => {
  const cloud = new EmbeddedCloud();
  let superLink = -1;
  /** Done in the service before. */
  let outlived = '';
  /** Done in this one. */
  let finished = '';

  beforeAll(async () => {
    await cloud.document('cloud', 'start');
  }, long);
  afterEach(context => cloud.explain(context));
  afterAll(() => cloud.remove());

  /** Latest first. */
  async function list(): Promise<RunSummary[]> {
    return (await cloud.document('run', 'list', 'sensors')).runs as RunSummary[];
  }

  async function latest(): Promise<RunSummary> {
    const [run] = await list();
    if (!run) throw new Error('There is no run.');
    return run;
  }

  /** Rounds that a run itself has ended. */
  function roundsOf(runId: string): number[] {
    const lines = readFileSync(join(cloud.root(superLink), 'var/lib/oneflower/events.jsonl'), 'utf8').split('\n');
    const told = lines.filter(line => line.includes('"round_end"')).map(line => JSON.parse(line).data);
    return told.filter(({ run_id }) => run_id === runId).map(({ round }) => round);
  }

  /**
   * Deploys, with the disk of an earlier SuperLink in place before training can begin: the embedded cloud mounts none,
   * so its folders are moved in.
   */
  async function deploy(disk: string | undefined, ...words: string[]): Promise<Finished> {
    const { ended } = cloud.begin('deploy', 'sensors', '--nodes', '2', ...assigned(variables), ...words);
    superLink = await until('the SuperLink', () => {
      const [first] = existsSync(cloud.vms) ? readdirSync(cloud.vms).map(Number) : [];
      return first !== undefined && existsSync(cloud.root(first)) && first;
    });
    if (disk !== undefined) {
      const folder = join(cloud.root(superLink), mountPoint);
      mkdirSync(folder, { recursive: true });
      for (const run of readdirSync(disk)) renameSync(join(disk, run), join(folder, run));
    }
    const finished = await ended;
    expect(finished.code, finished.stderr).toBe(0);
    return finished;
  }

  /** The SuperLink is gone at once and its service removed; its disk is kept. */
  async function loseAllButDisk(): Promise<string> {
    await cloud.oned.vms.act(superLink, 'poweroff-hard');
    await until('it is off', async () => (await cloud.oned.vms.get(superLink)).state === 'POWEROFF');
    const disk = join(cloud.home, `disk-${superLink}`);
    renameSync(join(cloud.root(superLink), mountPoint), disk);
    await cloud.document('delete', 'sensors');
    return disk;
  }

  function submit(folder: string, config: Record<string, string | number>, ...words: string[]): Promise<Finished> {
    const overrides = Object.entries(config).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
    return cloud.run('run', 'submit', 'sensors', folder, ...overrides, ...words);
  }

  /** It has exit code 1 and says that and what to do instead; nothing has been trained. */
  function expectRefused({ code, stdout, stderr }: Finished, words: RegExp): void {
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(words);
    expect(stderr).not.toMatch(/^Round \d+:/m);
  }

  describe('on a disk that outlives its service', () => {
    let interrupted = '';

    it('have the next service go on with the rounds that are left', { timeout: long }, async () => {
      await deploy(undefined);
      await cloud.checkpointed(superLink, 2);
      interrupted = (await latest()).runId;
      const { stderr } = await deploy(await loseAllButDisk(), '--wait');
      const runs = await list();
      expect(runs).toMatchObject([{ status: 'completed', continues: interrupted, round: rounds, rounds, model: true }]);
      outlived = (await latest()).runId;
      const own = roundsOf(outlived);
      const from = (own[0] ?? 0) - 1;
      expect(from).toBeGreaterThanOrEqual(2);
      expect(own).toEqual(roundsAfter(from));
      expect(stderr).toContain(`Run ${outlived}: goes on from round ${from} of run ${interrupted}\n`);
    });

    it('have the next service start fresh when the training was done, and say so', { timeout: long }, async () => {
      await deploy(await loseAllButDisk());
      await cloud.checkpointed(superLink, 2);
      expect(cloud.log(superLink)).toContain(
        `Training starts fresh: the run ${outlived} of before has done all of its ${rounds} rounds.`,
      );
      expect(await list()).toMatchObject([{ status: 'running', continues: null }]);
    });
  });

  describe('in the hands of an operator', () => {
    let stopped = '';

    it('have a stopped run go on, once', { timeout: long }, async () => {
      stopped = (await latest()).runId;
      const said = await cloud.run('run', 'stop', 'sensors');
      expect(said.stdout).toBe(`Run ${stopped} is stopped.\nLet it go on: oneflower run resume sensors ${stopped}\n`);
      const { checkpoint } = await latest();
      const resumed = await cloud.run('run', 'resume', 'sensors', stopped);
      finished = (await latest()).runId;
      expect(resumed.stdout).toBe(
        `Run ${stopped} goes on from round ${checkpoint} as run ${finished}.\nNext: oneflower run watch sensors\n`,
      );
      const again = await cloud.run('run', 'resume', 'sensors', stopped);
      expectRefused(again, new RegExp(`run ${finished} goes on in its place\\.\nDo: .*--checkpoint ROUND`));
      expectRefused(await cloud.run('run', 'resume', 'sensors'), /it has not ended\.\nDo: .*oneflower run watch/);
      const watched = await cloud.run('run', 'watch', 'sensors');
      expect(watched.code, watched.stderr).toBe(0);
      expect(await latest()).toMatchObject({ status: 'completed', continues: stopped, round: rounds, model: true });
      expect(roundsOf(finished)).toEqual(roundsAfter(checkpoint ?? 0));
    });

    it('have no run go on that is done, or from a round that has none', { timeout: long }, async () => {
      const done = await cloud.run('run', 'resume', 'sensors');
      expectRefused(done, new RegExp(`all of its rounds\\.\nDo: .*run submit NAME DIRECTORY --from ${finished} -c`));
      const none = await cloud.run('run', 'resume', 'sensors', finished, '--checkpoint', '3');
      expectRefused(none, /has no checkpoint of round 3\. There are those of the rounds .*10\.\nDo: .*run checkpoints/);
    });

    it('begin another run, also those of the service before', { timeout: long }, async () => {
      const more = { 'num-server-rounds': rounds + 1 };
      const began = await submit(anomalyDetection, more, '--from', `${outlived}/${rounds}`);
      expect(began.stdout).toContain(` It goes on from round ${rounds} of run ${outlived}.\nNext: oneflower run watch`);
      const watched = await cloud.run('run', 'watch', 'sensors');
      expect(watched.code, watched.stderr).toBe(0);
      const { runId, ...run } = await latest();
      expect(run).toMatchObject({ status: 'completed', continues: outlived, round: rounds + 1 });
      expect(roundsOf(runId)).toEqual([rounds + 1]);
    });

    it('begin no run without a round left, nor one of a run that is not there', { timeout: long }, async () => {
      const before = await list();
      const none = await submit(anomalyDetection, {}, '--from', finished, '--wait');
      expectRefused(
        none,
        /checkpoint .* is of round 10, and num-server-rounds is 3\..*\nDo: Add -c num-server-rounds=N/,
      );
      expectRefused(await submit(anomalyDetection, {}, '--from', '77'), /no run 77\.\nDo: .*oneflower run list/);
      expect((await submit(anomalyDetection, {}, '--from', 'best')).code).toBe(2);
      expect(await list()).toEqual(before);
    });

    it('are refused by another strategy, app or model, before a round', { timeout: long }, async () => {
      const more = { 'num-server-rounds': rounds + 1 };
      const from = ['--from', finished, '--wait'];
      const strategy = await submit(anomalyDetection, { ...more, strategy: '"FedAdam"' }, ...from);
      expectRefused(strategy, /its strategy is FedAvg, that of this run is FedAdam/);
      const counting = join(cloud.home, 'counting');
      cpSync(join(repository, 'tests', 'support', 'misbehaving-app'), counting, { recursive: true });
      const app = await submit(counting, more, ...from);
      expectRefused(app, /its app is anomaly-detection, that of this run is misbehaving-app/);

      const { code, stderr } = await submit(counting, {}, '--wait');
      expect(code, stderr).toBe(0);
      const three = (await latest()).runId;
      const server = join(counting, 'misbehaving_app', 'server_app.py');
      writeFileSync(server, readFileSync(server, 'utf8').replace('np.zeros(3', 'np.zeros(4'));
      const model = await submit(counting, more, '--from', three, '--wait');
      expectRefused(model, /its array w is float32 \(3,\), that of this run is float32 \(4,\)/);
      const { stdout } = await cloud.run('run', 'list', 'sensors');
      expect(stdout.match(/^Run \d+: .*does not belong to this run/gm)).toHaveLength(3);
    });
  });
});

function assigned(values: Record<string, string>): string[] {
  return Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
}

function roundsAfter(round: number): number[] {
  return Array.from({ length: rounds - round }, (_, index) => round + 1 + index);
}
