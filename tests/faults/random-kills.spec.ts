import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { RunSummary } from '@oneflower/contract';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Chance, chanceOf } from '../support/chance.ts';
import { EmbeddedCloud } from '../support/embedded-cloud.ts';
import { processesOf, type TestProcess } from '../support/processes.ts';
import { until } from '../support/until.ts';

const long = 400_000;
const root = join(import.meta.dirname, '..', '..');
const nodes = 3;
const rounds = 6;
const interval = 2;
/** The latest moment of a kill, counted from the beginning of its round. */
const longestDelayMs = 1500;
const config = {
  'num-server-rounds': rounds,
  'checkpoint-interval': interval,
  'min-available-clients': 2,
  // A reply that never comes ends the round after this many seconds, and not the test.
  'round-timeout': 120,
};

/** What is trained: the models of the first get better in almost every round, those of the second never do, so that it has no checkpoints but those of the interval. */
const apps = {
  'anomaly detection': {
    folder: join(root, 'flower', 'apps', 'anomaly-detection'),
    config: { 'local-epochs': 1 },
    metrics: ['eval_loss', 'roc_auc', 'train_loss'],
  },
  counting: {
    folder: join(root, 'tests', 'support', 'misbehaving-app'),
    config: { 'min-fit-clients': 2, 'min-evaluate-clients': 2, 'round-seconds': 1.5 },
    metrics: ['eval_loss', 'train_loss'],
  },
} as const;
const victims = ['SuperLink', 'ServerApp', 'agent', 'SuperNode', 'all SuperNodes', 'zygote'] as const;

interface Plan {
  seed: number;
  app: keyof typeof apps;
  victim: (typeof victims)[number];
  /** The round in which it is killed; 0 is what comes before the first one. */
  round: number;
  delayMs: number;
  chance: Chance;
}

/** What the agent tells of one round. */
interface Told {
  event: string;
  data: { run_id: string; round: number };
}

interface Curve {
  name: string;
  rounds: { round: number; values: (number | null)[] }[];
}

/** Nobody does anything in these tests but kill at random. Twenty minutes: each loss takes as long as Flower needs to notice it. */
describe.runIf(process.env.ONEFLOWER_FULL)('kill -9 at a random moment', () => {
  const cloud = new EmbeddedCloud();
  let superLink = -1;
  let superNodes: number[] = [];

  beforeAll(async () => {
    await cloud.document('cloud', 'start');
    await cloud.document('deploy', 'victim', '--nodes', String(nodes));
    const { vms } = await cloud.status('victim');
    superLink = vms.find(({ role }) => role === 'superlink')?.id ?? -1;
    superNodes = vms.filter(({ role }) => role === 'supernode').map(({ id }) => id);
  }, long);
  afterEach(context => cloud.explain(context));
  afterAll(() => cloud.remove());

  /** What apps have told of their rounds, in order. */
  function told(): Told[] {
    const text = readFileSync(join(cloud.root(superLink), 'var/lib/oneflower/events.jsonl'), 'utf8');
    const lines = text.split('\n').filter(line => /"event":"round_(start|end)"/.test(line));
    return lines.map(line => JSON.parse(line));
  }

  function roundsOf(runId: string, event: string): number[] {
    return told()
      .filter(one => one.event === event && one.data.run_id === runId)
      .map(({ data }) => data.round);
  }

  /** All that a victim is at this moment: none while it is not there. */
  async function processes({ victim, chance }: Plan): Promise<TestProcess[]> {
    const node = chance.pick(superNodes);
    if (victim === 'SuperLink') return programs(superLink, 'flower-superlink');
    if (victim === 'agent') return programs(superLink, 'node');
    if (victim === 'ServerApp') return serverApps(superLink);
    if (victim === 'SuperNode') return programs(node, 'flower-supernode');
    if (victim === 'zygote') return zygotes(chance.pick([superLink, ...superNodes]));
    return (await Promise.all(superNodes.map(vm => programs(vm, 'flower-supernode')))).flat();
  }

  async function programs(vm: number, program: string): Promise<TestProcess[]> {
    const all = await processesOf(cloud.root(vm));
    return all.filter(({ args }) => args.slice(0, 2).some(word => word.endsWith(`/${program}`)));
  }

  /** Forks have the command line of their zygote. */
  async function zygotes(vm: number): Promise<TestProcess[]> {
    const all = await programs(vm, 'oneflower-zygote');
    return all.filter(({ parent }) => !all.some(({ pid }) => pid === parent));
  }

  /** The process that Flower started for a ServerApp, and the fork that does its work. */
  async function serverApps(vm: number): Promise<TestProcess[]> {
    const all = await programs(vm, 'oneflower-zygote');
    const forks = all.filter(({ parent }) => all.some(({ pid }) => pid === parent));
    return [...(await programs(vm, 'flwr-serverapp')), ...forks];
  }

  async function submit({ app }: Plan): Promise<string> {
    const given = { ...config, ...apps[app].config };
    const overrides = Object.entries(given).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
    const { run } = await cloud.document('run', 'submit', 'victim', apps[app].folder, ...overrides);
    return (run as RunSummary).runId;
  }

  /** Waits for the moment, then kills. @returns how many processes. */
  async function strike(runId: string, plan: Plan): Promise<number> {
    if (plan.round > 0)
      await until(`round ${plan.round}`, () => roundsOf(runId, 'round_start').includes(plan.round), 180_000);
    await pause(plan.delayMs);
    return until(`a ${plan.victim}`, async () => {
      const found = await processes(plan);
      for (const { pid } of found) process.kill(pid, 'SIGKILL');
      return found.length > 0 && found.length;
    });
  }

  /** A run and those that went on in its place, in order. */
  async function chainOf(runId: string): Promise<RunSummary[]> {
    const { runs } = (await cloud.document('run', 'list', 'victim')) as { runs: RunSummary[] };
    const chain: RunSummary[] = [];
    for (let id: string | null = runId; id !== null; id = chain.at(-1)?.continuedBy ?? null) {
      const run = runs.find(one => one.runId === id);
      if (!run) throw new Error(`Run ${id} is not listed.`);
      chain.push(run);
    }
    return chain;
  }

  /** Rounds of a training without a metric, each of its metrics looked at. */
  async function gaps(runId: string, { app }: Plan): Promise<number[]> {
    const { metrics } = (await cloud.document('run', 'compare', 'victim', runId)) as { metrics: Curve[] };
    expect(metrics.map(({ name }) => name).toSorted()).toEqual(apps[app].metrics);
    const empty = metrics.flatMap(curve => {
      const known = curve.rounds.filter(({ values }) => values[0] !== null).map(({ round }) => round);
      return everyRound.filter(round => !known.includes(round));
    });
    return [...new Set(empty)];
  }

  it.each(plans(20))('seed $seed: $victim in round $round of $app', { timeout: long }, async plan => {
    const began = performance.now();
    const runId = await submit(plan);
    const watching = cloud.begin('run', 'watch', 'victim', runId);
    const killed = await strike(runId, plan);
    const { code, stderr } = await watching.ended;
    expect(code, stderr).toBe(0);

    const chain = await chainOf(runId);
    const ids = chain.map(run => run.runId);
    const last = ids.at(-1) ?? '';
    expect(chain.at(-1)).toMatchObject({ status: 'completed', round: rounds, rounds, model: true });
    const done = ids.map(id => roundsOf(id, 'round_end'));
    expect([...new Set(done.flat())].toSorted((a, b) => a - b)).toEqual(everyRound);
    const repeated = repeatedRounds(done);
    expect(Math.max(0, ...repeated)).toBeLessThanOrEqual(interval);
    // Of a round in which all nodes were lost there is nothing to tell.
    const missing = await gaps(last, plan);
    if (plan.victim === 'all SuperNodes') expect(missing.length).toBeLessThanOrEqual(1);
    else expect(missing).toEqual([]);
    const { models } = (await cloud.document('model', 'list', 'victim')) as { models: { runId: string }[] };
    expect(models.map(model => model.runId).filter(id => ids.includes(id))).toEqual([last]);

    const seconds = Math.round((performance.now() - began) / 1000);
    console.info(
      `seed ${plan.seed}: ${killed} x kill -9 of ${plan.victim} ${plan.delayMs} ms into round ${plan.round} of ${plan.app}: ${chain.length - 1} resumed, ${repeated.join(', ') || 0} rounds repeated, without metrics: ${missing.join(', ') || 'none'}; ${seconds} s`,
    );
  });
});

const everyRound = Array.from({ length: rounds }, (_, index) => index + 1);

/** The plans of the first seeds, with each kind of victim in turn. */
function plans(seeds: number): Plan[] {
  return Array.from({ length: seeds }, (_, index) => {
    const seed = index + 1;
    const chance = chanceOf(seed);
    const victim = victims[index % victims.length] ?? 'SuperLink';
    const app = Math.floor(index / victims.length) % 2 === 0 ? 'counting' : 'anomaly detection';
    return { seed, app, victim, round: chance.below(rounds), delayMs: chance.below(longestDelayMs), chance };
  });
}

/** Of the rounds that each run of a chain has ended: how many each one did again. */
function repeatedRounds(runs: number[][]): number[] {
  return runs.slice(1).map((after, index) => {
    const before = Math.max(0, ...runs.slice(0, index + 1).flat());
    return Math.max(0, before - (after[0] ?? before + 1) + 1);
  });
}
