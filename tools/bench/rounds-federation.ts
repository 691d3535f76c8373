import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type FlowerEvent,
  type Framework,
  parseAppEvent,
  sleep,
  systemClock,
} from '../../packages/contract/src/index.ts';
import { isHealthy } from './flower.ts';
import { type Scene, type Started, secondsUntil, stop, until } from './scene.ts';

const app = 'anomaly-detection';
const nodes = 2;
/** So that neither way pays for what the start of its servers still does. */
const settleMs = 5000;

/** What is run. */
export interface RoundsSetting {
  software: string;
  /** Programs of the environment. */
  bin: string;
  framework: Framework;
  rounds: number;
}

/** How Flower is started. */
export interface Way {
  /** Folder of flower-superlink and flower-supernode. */
  programs: string;
  environment: Record<string, string>;
  /** Processes that have their imports done before the run. */
  warm: number;
}

/** Numbers of a round by their names. */
export type Metrics = Record<string, number>;

/** Flower as it is, or through our launchers. */
export function way(kind: 'plain' | 'warm', { bin, software, framework }: RoundsSetting): Way {
  const system = '/usr/local/bin:/usr/bin:/bin';
  if (kind === 'plain') return { programs: bin, environment: { PATH: `${bin}:${system}` }, warm: 0 };
  const programs = join(software, 'python/oneflower/warm/bin');
  const environment = { PATH: `${programs}:${bin}:${system}`, ONEFLOWER_FRAMEWORK: framework };
  return { programs, environment, warm: nodes + 1 };
}

/** Seconds from the acceptance of a run until its model is kept, and what each round measured. */
export async function timedRun(
  scene: Scene,
  setting: RoundsSetting,
  { programs, environment: own, warm }: Way,
): Promise<{ seconds: number; metrics: Metrics[] }> {
  const journal = join(scene.folder, 'events.jsonl');
  const models = join(scene.folder, 'models');
  const home = join(scene.folder, 'flwr');
  for (const folder of [models, home]) await mkdir(folder);
  const address = `${scene.address(1)}:8000`;
  await writeFile(
    join(home, 'config.toml'),
    `[superlink]\ndefault = "s"\n\n[superlink.s]\naddress = "${address}"\ninsecure = true\n`,
  );
  const environment = {
    ...{ PYTHONPATH: join(setting.software, 'python'), ONEFLOWER_EVENTS: journal, ONEFLOWER_MODELS: models },
    ...own,
  };
  const servers = await start(scene, programs, address, environment);
  await until(async () => (await eventsOf(journal)).filter(({ event }) => event === 'worker_warm').length >= warm);
  await sleep(systemClock, settleMs);
  const folder = join(scene.folder, 'app');
  await cp(join(setting.software, 'apps', app), folder, { recursive: true });
  const overrides = `num-server-rounds=${setting.rounds} framework="${setting.framework}"`;
  const run = ['run', folder, 's', '--format', 'json', '--run-config', overrides];
  await scene.run(join(setting.bin, 'flwr'), run, environment);
  const began = performance.now();
  await until(async () => (await eventsOf(journal)).some(({ event }) => event === 'training_end'));
  const seconds = (performance.now() - began) / 1000;
  for (const server of servers.reverse()) await stop(server);
  const metrics = (await eventsOf(journal)).flatMap(found => (found.event === 'round_end' ? [found.data.metrics] : []));
  return { seconds, metrics };
}

/** The SuperLink, and nodes that have joined it. */
async function start(
  scene: Scene,
  programs: string,
  address: string,
  environment: Record<string, string>,
): Promise<Started[]> {
  const host = scene.address(1);
  const linkArgs = ['--insecure', '--host', host, '--database', join(scene.folder, 'state.db')];
  const link = scene.start(
    join(programs, 'flower-superlink'),
    [...linkArgs, '--disable-runtime-dependency-installation'],
    environment,
  );
  await secondsUntil(link, () => isHealthy(host));
  const started = [link];
  for (let node = 0; node < nodes; node++) {
    const args = ['--insecure', '--superlink', address, '--host', scene.address(2 + node), '--port', '9094'];
    const config = ['--node-config', `partition-id=${node} num-partitions=${nodes}`];
    const supernode = scene.start(join(programs, 'flower-supernode'), [...args, ...config], environment);
    started.push(supernode);
    await secondsUntil(supernode, () => supernode.said().includes('Starting Flower SuperExec'));
  }
  return started;
}

async function eventsOf(journal: string): Promise<FlowerEvent[]> {
  const text = await readFile(journal, 'utf8').catch(() => '');
  return text.split('\n').flatMap(line => parseAppEvent(line) ?? []);
}
