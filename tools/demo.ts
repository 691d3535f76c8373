import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultFlowerVersion, isOneFlowerError, OneFlowerError } from '@oneflower/contract';
import Table from 'cli-table3';
import { execa } from 'execa';
import { checkout } from '../packages/cli/src/runtime/index.ts';
import { say, setUp } from './setup.ts';

/** What `anomaly_detection.compare` prints. */
interface Comparison {
  heldOutRows: number;
  heldOutAnomalies: number;
  federated: number;
  bestSingle: number;
  central: number;
}

const service = 'demo';
const nodes = 3;
const rounds = 3;
const keep = process.argv.includes('--keep');
const seconds: [part: string, seconds: number][] = [];

// An interrupt reaches the command that runs; what was started is then taken down as after any failure.
process.on('SIGINT', () => {});

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
  const { cloud } = await oneflower('cloud', 'status');
  const startedHere = cloud.state !== 'running';
  try {
    await timed('embedded cloud', () => oneflower('cloud', 'start'));
    await deploy();
    const model = await download();
    const comparison = await timed('comparison', () => compare(software, model));
    if (!keep) await timed('taking down', () => takeDown(startedHere));
    showResult(model, comparison);
  } catch (error) {
    if (!keep) await takeDown(startedHere);
    throw error;
  }
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
  const deployed = await oneflower('deploy', service, '--nodes', String(nodes), ...set, '--wait');
  const total = (performance.now() - started) / 1000;
  const ready = deployed.service.readyAfterMs / 1000;
  seconds.push(['boot of all machines', ready], [`training, ${rounds} rounds`, total - ready]);
}

async function download(): Promise<string> {
  const folder = join(checkout, 'dist');
  await mkdir(folder, { recursive: true });
  const model = join(folder, 'demo-model.npz');
  await oneflower('model', 'download', service, '--output', model);
  return model;
}

async function takeDown(stopCloud: boolean): Promise<void> {
  await oneflower('delete', service);
  if (stopCloud) await oneflower('cloud', 'stop');
}

/** Runs a command as a person would type it and answers its JSON document; its progress is seen as it happens. */
async function oneflower(...args: string[]) {
  say(`\n$ oneflower ${args.join(' ')}`);
  const file = join(checkout, 'packages', 'cli', 'bin', 'oneflower.mjs');
  const cloud = args[0] === 'cloud' ? [] : ['--cloud', 'embedded'];
  const command = [file, ...args, ...cloud, '--json'];
  const { stdout, exitCode } = await execa(process.execPath, command, {
    stderr: 'inherit',
    stdin: 'ignore',
    reject: false,
  });
  if (exitCode === 0) return JSON.parse(stdout);
  throw new OneFlowerError({
    code: 'demo',
    message: `oneflower ${args.join(' ')} ended with ${exitCode}.`,
    reason: 'Its own words are above.',
  });
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
  const { stdout } = await execa(python, args, {
    env: { PYTHONPATH: folders.join(':'), PYTHONDONTWRITEBYTECODE: '1' },
  });
  return JSON.parse(stdout);
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
