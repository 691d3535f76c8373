import { join } from 'node:path';
import { ensureFramework } from '../../packages/cli/src/runtime/index.ts';
import { defaultFlowerVersion, environmentName, type Framework } from '../../packages/contract/src/index.ts';
import { type Metrics, type RoundsSetting, timedRun, way } from './rounds-federation.ts';
import { Scene } from './scene.ts';
import { median, round } from './timing.ts';
import type { Bench, BenchContext, Figure } from './types.ts';

const turns = 3;
const rounds = 3;
/** Sums of floats may differ in their last digits when nodes answer in another order. */
const tolerance = 1e-9;

const models: readonly { framework: Framework; name: string; goal: number }[] = [
  { framework: 'sklearn', name: 'light model (scikit-learn)', goal: 0.25 },
  { framework: 'pytorch', name: 'PyTorch model', goal: 0.4 },
];

/** What warm workers and shorter waits are worth, beside Flower as it is. */
export const roundsBench: Bench = {
  what: `a run of ${rounds} rounds of anomaly-detection on two nodes, plain Flower ${defaultFlowerVersion} against warm workers, ${turns} times each in turn`,
  run: async context => {
    const figures: Figure[] = [];
    for (const model of models) figures.push(...(await compare(context, model)));
    return figures;
  },
};

async function compare(context: BenchContext, model: (typeof models)[number]): Promise<Figure[]> {
  const { software } = context.software;
  await ensureFramework(model.framework, software, context.say);
  const bin = join(software, 'versions', environmentName(defaultFlowerVersion, model.framework), 'bin');
  const setting: RoundsSetting = { software, bin, framework: model.framework, rounds };
  const seconds = { plain: [] as number[], warm: [] as number[] };
  let expected: Metrics[] | undefined;
  for (let turn = 0; turn < turns; turn++) {
    for (const kind of ['plain', 'warm'] as const) {
      const run = await Scene.play(scene => timedRun(scene, setting, way(kind, setting)));
      expected ??= run.metrics;
      assertAlike(expected, run.metrics);
      seconds[kind].push(run.seconds);
      context.say(`${model.name}, ${kind}: ${round(run.seconds)} s`);
    }
  }
  const ratio = median(seconds.plain.map((plain, turn) => (seconds.warm[turn] ?? Number.NaN) / plain));
  return [
    { name: `${model.name}, plain Flower`, value: round(median(seconds.plain)), unit: 's' },
    { name: `${model.name}, warm workers`, value: round(median(seconds.warm)), unit: 's' },
    { name: `${model.name}, ratio`, value: round(ratio), unit: '', goal: `at most ${model.goal}` },
  ];
}

function assertAlike(expected: readonly Metrics[], found: readonly Metrics[]): void {
  const same =
    expected.length === found.length &&
    expected.every((metrics, index) =>
      Object.entries(metrics).every(([name, value]) => {
        const other = found[index]?.[name] ?? Number.NaN;
        return Math.abs(other - value) <= tolerance * Math.max(1, Math.abs(value));
      }),
    );
  if (!same) throw new Error(`The metrics differ: ${JSON.stringify(expected)} and ${JSON.stringify(found)}`);
}
