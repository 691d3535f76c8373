import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type StrategyName, strategies } from '@oneflower/contract';
import { expect } from 'vitest';
import { type LocalRun, type LocalRunOptions, localRun } from '../support/local-run.ts';
import type { Effects } from './effect.ts';
import { openRun } from './run-effects.ts';
import type { Member } from './scene.ts';

type Values = Record<string, string>;

/** Bulyan wants seven nodes where one may send anything. */
const seven = { nodes: 7 };
const sevenNodes: Values = { FL_MIN_AVAILABLE_CLIENTS: '7' };

/** Variables that decide how is trained: from their text alone another model comes out. */
export const trainingEffects = {
  async FL_STRATEGY() {
    const models = new Map<string, string[]>();
    for (const strategy of Object.keys(strategies) as StrategyName[]) {
      const { sha256, error } = await localRun({ ...sevenNodes, FL_STRATEGY: strategy }, seven);
      expect(error, strategy).toBeNull();
      models.set(String(sha256), [...(models.get(String(sha256)) ?? []), strategy]);
    }
    // When every node answers, FaultTolerantFedAvg is FedAvg; every other one gives a model of its own.
    expect([...models.values()].filter(names => names.length > 1)).toEqual([['FedAvg', 'FaultTolerantFedAvg']]);
  },

  async FL_PROXIMAL_MU() {
    const plain = await localRun({ FL_STRATEGY: 'FedAvg' });
    const [none, some] = await withEach('FL_PROXIMAL_MU', ['0', '1'], { FL_STRATEGY: 'FedProx' });
    expect(none.sha256).toBe(plain.sha256);
    expect(some.sha256).not.toBe(plain.sha256);
  },

  FL_SERVER_LR: () => changesTheModel('FL_SERVER_LR', ['0.1', '0.01'], { FL_STRATEGY: 'FedAdam' }),

  FL_CLIENT_LR: () => changesTheModel('FL_CLIENT_LR', ['', '0.01'], {}),

  FL_NUM_MALICIOUS: () =>
    changesTheModel('FL_NUM_MALICIOUS', ['0', '1'], { ...sevenNodes, FL_STRATEGY: 'Bulyan' }, seven),

  FL_NUM_SELECTED: () =>
    changesTheModel('FL_NUM_SELECTED', ['1', '3'], { ...sevenNodes, FL_STRATEGY: 'MultiKrum' }, seven),

  FL_TRIM_BETA: () =>
    changesTheModel('FL_TRIM_BETA', ['0.2', '0.4'], { ...sevenNodes, FL_STRATEGY: 'FedTrimmedAvg' }, seven),

  async FL_COMPLETION_RATE() {
    const data = await dataOfThreeNodes();
    try {
      const faultTolerant = { FL_STRATEGY: 'FaultTolerantFedAvg', FL_NUM_ROUNDS: '1' };
      const [lenient, strict] = await withEach('FL_COMPLETION_RATE', ['0.5', '1'], faultTolerant, { data });
      expect(lenient.error).toBeNull();
      expect(eventsNamed(lenient, 'round_repeated')).toEqual([]);
      expect(eventsNamed(strict, 'round_repeated')).not.toEqual([]);
      expect(strict.error).toMatch(/answered/);
    } finally {
      await Promise.all(data.map(folder => rm(folder, { recursive: true, force: true })));
    }
  },

  async FL_ROUND_TIMEOUT(scene) {
    expect((await scene.plainRun()).run.config['round-timeout']).toBe(3600);
    expect((await openRun(scene)).config['round-timeout']).toBe(120);
  },

  FL_DP_CLIPPING_NORM: () => changesTheModel('FL_DP_CLIPPING_NORM', ['', '0.001'], {}),

  async FL_DP_NOISE_MULTIPLIER() {
    const [none, some] = await withEach('FL_DP_NOISE_MULTIPLIER', ['0', '2'], { FL_DP_CLIPPING_NORM: '1' });
    expect(some.sha256).not.toBe(none.sha256);
    const spent = some.rounds.map(({ metrics }) => metrics.privacy_epsilon ?? 0);
    expect(spent[0]).toBeGreaterThan(0);
    expect(spent[1]).toBeGreaterThan(spent[0] ?? 0);
    expect(none.rounds[1]?.metrics.privacy_epsilon).toBeUndefined();
  },

  async FL_STOP_ON_NAN() {
    const folder = join(import.meta.dirname, '..', 'support', 'misbehaving-app');
    const keys = ['num-server-rounds', 'stop-on-nan'];
    const app = { folder, keys, pairs: ['misbehave="1.0=loss 1.1=loss"'] };
    const [stopping, goingOn] = await withEach('FL_STOP_ON_NAN', ['YES', 'NO'], {}, { nodes: 2, app });
    expect(stopping).toMatchObject({ error: expect.stringMatching(/round 1.*train_loss/i), sha256: null });
    expect(goingOn).toMatchObject({ error: null, rounds: [{ round: 1 }, { round: 2 }] });
  },

  async FL_CHECKPOINT_ENABLED() {
    const [enabled, disabled] = await withEach('FL_CHECKPOINT_ENABLED', ['YES', 'NO'], {});
    expect(enabled.checkpoints).toEqual([2]);
    expect(disabled.checkpoints).toEqual([]);
  },

  async FL_CHECKPOINT_INTERVAL() {
    const fiveRounds = { FL_NUM_ROUNDS: '5', FL_CHECKPOINT_KEEP: '9' };
    const [often, rarely] = await withEach('FL_CHECKPOINT_INTERVAL', ['1', '2'], fiveRounds);
    expect(often.checkpoints).toEqual([1, 2, 3, 4, 5]);
    // The last round always has one.
    expect(rarely.checkpoints).toEqual([2, 4, 5]);
  },

  async FL_CHECKPOINT_KEEP() {
    const fiveRounds = { FL_NUM_ROUNDS: '5', FL_CHECKPOINT_INTERVAL: '1' };
    const [all, few] = await withEach('FL_CHECKPOINT_KEEP', ['9', '1'], fiveRounds);
    expect(all.checkpoints).toHaveLength(5);
    // The last, which is also the final one, and the best.
    expect(few.checkpoints).toContain(5);
    expect(few.checkpoints.length).toBeLessThanOrEqual(2);
  },

  async FL_CHECKPOINT_PATH(scene) {
    const [plain, changed] = await Promise.all([scene.plain(), scene.changed()]);
    const folders = ['opt/flower/checkpoints', 'srv/checkpoints'];
    const present = ({ guest }: Member) => folders.map(folder => existsSync(guest.path(folder)));
    expect(present(plain.superLink)).toEqual([true, false]);
    expect(present(changed.superLink)).toEqual([false, true]);
  },
} satisfies Effects;

async function changesTheModel(
  variable: string,
  values: [string, string],
  given: Values,
  options?: { nodes: number },
): Promise<void> {
  const [one, other] = await withEach(variable, values, given, options);
  expect([one.error, other.error]).toEqual([null, null]);
  expect(one.sha256).not.toBe(other.sha256);
}

async function withEach(
  variable: string,
  [one, other]: [string, string],
  given: Values,
  options?: LocalRunOptions,
): Promise<[LocalRun, LocalRun]> {
  return [
    await localRun({ ...given, [variable]: one }, options),
    await localRun({ ...given, [variable]: other }, options),
  ];
}

function eventsNamed(run: LocalRun, name: string): Record<string, unknown>[] {
  return run.events.filter(({ event }) => event === name).map(({ data }) => data);
}

/** Data folders of three nodes; the first holds a value that is no number. */
async function dataOfThreeNodes(): Promise<string[]> {
  const folders: string[] = [];
  for (let node = 0; node < 3; node++) {
    const folder = await mkdtemp(join(tmpdir(), 'oneflower-data-'));
    const value = (row: number) => (node === 0 && row === 7 ? 'no number' : row % 11);
    const rows = Array.from({ length: 40 }, (_, row) => `${value(row)},${(row * 7) % 13},${row % 5 === 0 ? 1 : 0}`);
    await writeFile(join(folder, 'rows.csv'), ['first,second,label', ...rows, ''].join('\n'));
    folders.push(folder);
  }
  return folders;
}
