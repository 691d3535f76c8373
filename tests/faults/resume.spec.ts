import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RoundRecord, RunSummary } from '@oneflower/contract';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedCloud } from '../support/embedded-cloud.ts';
import { processesOf } from '../support/processes.ts';
import { until } from '../support/until.ts';

const long = 420_000;
const rounds = 10;
const variables = {
  FL_USE_CASE: 'anomaly-detection',
  FL_NUM_ROUNDS: String(rounds),
  FL_CHECKPOINT_INTERVAL: '2',
};

/** Nobody does anything in these tests but what breaks the run. */
describe('a run whose ServerApp or SuperLink is killed', () => {
  const cloud = new EmbeddedCloud();
  let superLink = -1;

  beforeAll(async () => {
    await cloud.document('cloud', 'start');
  }, long);
  afterEach(context => cloud.explain(context));
  afterAll(() => cloud.remove());

  async function runs(): Promise<RunSummary[]> {
    return (await cloud.document('run', 'list', 'victim')).runs as RunSummary[];
  }

  /** Kills all processes of a program of the SuperLink with SIGKILL, as the kernel does when memory runs out. */
  async function kill(program: string): Promise<void> {
    const found = await until(program, async () => {
      const all = await processesOf(cloud.root(superLink));
      const ones = all.filter(({ args }) => args.some(word => word === program || word.endsWith(`/${program}`)));
      return ones.length > 0 && ones;
    });
    for (const { pid } of found) process.kill(pid, 'SIGKILL');
  }

  it('in round 7 of 10 ends complete, unattended, followed by deploy --wait and by run watch', {
    timeout: long,
  }, async () => {
    const settings = Object.entries(variables).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
    const deploying = cloud.begin('deploy', 'victim', '--nodes', '2', ...settings, '--wait');
    await until('the first round', () => deploying.said.stderr.includes('Round 1:'), 120_000);
    superLink = (await cloud.status('victim')).vms[0]?.id ?? -1;
    const watching = cloud.begin('run', 'watch', 'victim');
    await cloud.checkpointed(superLink, 6);
    await kill('flwr-serverapp');
    const [deployed, watched] = await Promise.all([deploying.ended, watching.ended]);
    expect([deployed.code, watched.code], deployed.stderr + watched.stderr).toEqual([0, 0]);
    for (const { stderr } of [deployed, watched]) {
      expect(stderr).toMatch(/interrupted in round 7 of 10 because .* It goes on from the checkpoint of round 6/);
      expect(stderr).toMatch(/Run \d+: goes on from round 6 of run \d+/);
    }

    const [last, first, ...others] = await runs();
    expect(others).toEqual([]);
    expect(first).toMatchObject({ status: 'failed', continuedBy: last?.runId, model: false, resumes: false });
    expect(last).toMatchObject({ status: 'completed', continues: first?.runId, round: rounds, rounds, model: true });
    expect(last?.submittedBy).toBe('variables');
  });

  it('has every round once, and lost no more than the interval', async () => {
    const [last, first] = await runs();
    const ids = [last?.runId ?? '', first?.runId ?? ''];
    const { metrics } = await cloud.document('run', 'compare', 'victim', ...ids);
    const [curve] = metrics as { rounds: RoundRecord[] }[];
    expect(curve?.rounds.map(({ round }) => round)).toEqual(Array.from({ length: rounds }, (_, index) => index + 1));
    const events = readFileSync(join(cloud.root(superLink), 'var/lib/oneflower/events.jsonl'), 'utf8');
    const told = events
      .split('\n')
      .filter(line => line.includes('"round_end"'))
      .map(line => JSON.parse(line).data as { run_id: string; round: number });
    const before = told.filter(({ run_id }) => run_id === first?.runId).map(({ round }) => round);
    const after = told.filter(({ run_id }) => run_id === last?.runId).map(({ round }) => round);
    expect([before[0], after.at(-1)]).toEqual([1, rounds]);
    expect(after).toEqual(after.toSorted((a, b) => a - b));
    const repeated = (before.at(-1) ?? 0) - (after[0] ?? 0) + 1;
    expect(repeated).toBeGreaterThanOrEqual(0);
    expect(repeated).toBeLessThan(2);
  });

  it('leaves one final model, and those of rounds, which scikit-learn loads', { timeout: long }, async () => {
    const { models } = await cloud.document('model', 'list', 'victim');
    const [last] = await runs();
    expect(models).toMatchObject([{ runId: last?.runId, round: rounds }]);
    const arrays = join(cloud.home, 'best.npz');
    const pipeline = join(cloud.home, 'model.joblib');
    await cloud.document('model', 'download', 'victim', '--round', 'best', '-o', arrays);
    const { cardFiles } = await cloud.document('model', 'download', 'victim', '--format', 'joblib', '-o', pipeline);
    expect(readFileSync((cardFiles as string[])[0] ?? '', 'utf8')).toMatch(/round 10 of 10\n\n- Strategy: FedAvg/);
    const code =
      'import joblib, numpy, sys; print(*numpy.load(sys.argv[1]).files); print(hasattr(joblib.load(sys.argv[2]), "predict"))';
    const said = execFileSync(process.env.ONEFLOWER_PYTHON ?? 'python3', ['-c', code, arrays, pipeline], {
      encoding: 'utf8',
    });
    expect(said).toMatch(/center.*\nTrue/);
    expect(said).not.toContain('/');
    const torch = await cloud.run('model', 'download', 'victim', '--format', 'pt', '--json');
    expect(torch.code).not.toBe(0);
    expect(torch.stdout).toMatch(/pt/);
  });

  it('survives kill -9 of its SuperLink too', { timeout: long }, async () => {
    const app = join(import.meta.dirname, '..', '..', 'flower', 'apps', 'anomaly-detection');
    const config = ['num-server-rounds=5', 'checkpoint-interval=1', 'min-available-clients=2'];
    const overrides = config.flatMap(pair => ['-c', pair]);
    const submitting = cloud.begin('run', 'submit', 'victim', app, ...overrides, '--wait');
    await until('two rounds', () => submitting.said.stderr.includes('Round 2:'), 120_000);
    await kill('flower-superlink');
    const { code, stderr } = await submitting.ended;
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/Run \d+: goes on from round \d+ of run \d+/);
    const [last, first] = await runs();
    expect(last).toMatchObject({
      status: 'completed',
      round: 5,
      submittedBy: 'operator',
      continues: first?.runId,
    });
  });
});
