import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultFlowerVersion, isOneFlowerError } from '@oneflower/contract';
import Table from 'cli-table3';
import * as z from 'zod';
import { checkout } from '../packages/cli/src/runtime/index.ts';
import { Commands } from './demo/command.ts';
import { perform } from './demo/perform.ts';
import { say, setUp } from './setup.ts';

/** What `anomaly_detection.compare` prints. */
const comparisonSchema = z.object({
  heldOutRows: z.number(),
  heldOutAnomalies: z.number(),
  federated: z.number(),
  bestSingle: z.number(),
  central: z.number(),
});

type Comparison = z.output<typeof comparisonSchema>;

const deployment = z.object({ service: z.object({ readyAfterMs: z.number() }) });

const service = 'demo';
const nodes = 3;
const rounds = 3;
const keep = process.argv.includes('--keep');
const seconds: [part: string, seconds: number][] = [];

const commands = new Commands();

try {
  await demonstrate();
} catch (error) {
  if (!isOneFlowerError(error)) throw error;
  say(error.explain());
  process.exitCode = 1;
}

async function demonstrate(): Promise<void> {
  say(
    `One SuperLink and ${nodes} SuperNodes train anomaly detection on NASA's Shuttle sensor rows, each node on its own.`,
  );
  const { software } = await timed('set-up', setUp);
  const { model, comparison } = await perform({
    service,
    keep,
    say,
    oneflower: (...args) => commands.oneflower(...args),
    startCloud: () => timed('embedded cloud', () => step('cloud', 'start')),
    deploy,
    async show() {
      const downloaded = await download();
      return { model: downloaded, comparison: await timed('comparison', () => compare(software, downloaded)) };
    },
    takingDown: work => timed('taking down', work),
  });
  showResult(model, comparison);
}

/** A command that is not begun after an interrupt. */
async function step(...args: string[]): Promise<unknown> {
  commands.goOn();
  return commands.oneflower(...args);
}

async function deploy(): Promise<void> {
  const variables = {
    FL_USE_CASE: 'anomaly-detection',
    FL_NUM_ROUNDS: rounds,
    FL_MIN_FIT_CLIENTS: nodes,
    FL_MIN_AVAILABLE_CLIENTS: nodes,
  };
  const set = Object.entries(variables).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const started = performance.now();
  const deployed = deployment.parse(await step('deploy', service, '--nodes', String(nodes), ...set, '--wait'));
  const total = (performance.now() - started) / 1000;
  const ready = deployed.service.readyAfterMs / 1000;
  seconds.push(['boot of all machines', ready], [`training, ${rounds} rounds`, total - ready]);
}

async function download(): Promise<string> {
  const folder = join(checkout, 'dist');
  await mkdir(folder, { recursive: true });
  const model = join(folder, 'demo-model.npz');
  await step('model', 'download', service, '--output', model);
  return model;
}

async function compare(software: string, model: string): Promise<Comparison> {
  say('\nTraining the same model on one node alone and on all rows in one place');
  const python = join(software, 'versions', defaultFlowerVersion, 'bin', 'python');
  const folders = [join(software, 'python'), join(software, 'apps', 'anomaly-detection')];
  const args = [
    '-m',
    'anomaly_detection.compare',
    '--model',
    model,
    '--partitions',
    `${nodes}`,
    '--rounds',
    `${rounds}`,
    '--json',
  ];
  const env = { PYTHONPATH: folders.join(':'), PYTHONDONTWRITEBYTECODE: '1' };
  return comparisonSchema.parse(await commands.program(python, args, env));
}

function showResult(
  model: string,
  { heldOutRows, heldOutAnomalies, federated, bestSingle, central }: Comparison,
): void {
  const quality = new Table({ head: ['model', 'ROC-AUC'], style: { head: [], border: [], compact: true } });
  quality.push(
    ['federated', federated.toFixed(4)],
    ['best single node alone', bestSingle.toFixed(4)],
    ['all data in one place', central.toFixed(4)],
  );
  const times = new Table({ head: ['part', 'seconds'], style: { head: [], border: [], compact: true } });
  times.push(...seconds.map(([part, value]) => [part, value.toFixed(1)]));
  console.log(
    `\nOn ${heldOutRows} held-out rows, ${heldOutAnomalies} of them anomalies:\n${quality}\n${times}\nModel: ${model}`,
  );
  if (!keep) return;
  console.log(
    `\nThe service runs on. What to try next:\n${['status demo', 'scale demo 4', 'run watch demo', 'delete demo', 'cloud stop'].map(line => `  npx oneflower ${line}`).join('\n')}`,
  );
}

async function timed<T>(part: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  seconds.push([part, (performance.now() - started) / 1000]);
  return result;
}
