import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ControlApi, createControlApi } from '../../packages/agent/src/flower-control/index.ts';
import { ensureNodeKey } from '../../packages/agent/src/node-key.ts';
import { createSiteClient } from '../../packages/agent/src/site/index.ts';
import { defaultFlowerVersion } from '../../packages/contract/src/index.ts';
import { type Guest, startGuest } from './guest.ts';
import { openOneGate } from './one-gate.ts';
import { memoryOf, Scene, type Started, secondsUntil, stop, until } from './scene.ts';
import { median, round } from './timing.ts';
import type { Bench, BenchContext } from './types.ts';

const joinToken = 'a-join-token-of-this-bench';
const nodes = 2;
/** Each path is first as often as it is last. */
const order = ['gate', 'direct', 'direct', 'gate', 'gate', 'direct', 'direct', 'gate'] as const;
const ports = { gate: 9092, direct: 8000 } as const;

interface Federation extends BenchContext {
  scene: Scene;
  link: Guest;
  control: ControlApi;
  caFile: string;
  keys: string[];
}

/** What a large model costs on its way through the gate. */
export const gate: Bench = {
  what: `a model of 100 MB, ${nodes} nodes, 2 rounds: through the gate against direct, ${order.length / 2} times each in turn`,
  run: context =>
    Scene.play(async scene => {
      const oneGate = await openOneGate(scene.address(9));
      const federation = await openFederation(scene, context, oneGate.endpoint);
      const seconds = { gate: [] as number[], direct: [] as number[] };
      const held: number[] = [];
      for (const way of order) {
        const taken = await secondsOfRun(federation, ports[way], held);
        seconds[way].push(taken);
        context.say(`  ${way}: ${round(taken)} s`);
      }
      await federation.control.close();
      await stop(federation.link.agent);
      oneGate.close();
      return [
        { name: 'through the gate', value: round(median(seconds.gate)), unit: 's' },
        { name: 'direct', value: round(median(seconds.direct)), unit: 's' },
        {
          name: 'ratio',
          value: round(median(seconds.gate) / median(seconds.direct), 3),
          unit: '',
          goal: 'at most 1.05',
        },
        { name: 'most that the agent held', value: round(Math.max(...held), 1), unit: 'MB', goal: 'at most 80 MB' },
      ];
    }),
};

/** A SuperLink, and nodes that it has enrolled. */
async function openFederation(scene: Scene, context: BenchContext, oneGate: string): Promise<Federation> {
  const reporting = { TOKEN: 'YES', ONEGATE_ENDPOINT: oneGate, VMID: '1', REPORT_READY: 'YES' };
  const link = await startGuest(scene, context.software, 1, {
    ...{ FL_ROLE: 'superlink', FL_JOIN_TOKEN: joinToken },
    ...reporting,
  });
  await secondsUntil(link.agent, link.isReady);
  const caFile = join(link.layout.certs, 'ca.crt');
  const caPem = await readFile(caFile, 'utf8');
  const site = createSiteClient({ endpoint: { host: scene.address(1), port: ports.gate }, caPem, joinToken });
  const keys: string[] = [];
  for (let node = 0; node < nodes; node++) {
    const file = join(scene.folder, `node-${node}.key`);
    const { publicKey } = await ensureNodeKey(file);
    const flowerVersion = defaultFlowerVersion;
    await site.enrol({ name: `node-${node}`, publicKey, flowerVersion, vmId: null, partitionId: null });
    keys.push(file);
  }
  await site.close();
  const control = createControlApi({ host: scene.address(1), port: ports.direct, caPem });
  await cp(join(import.meta.dirname, 'big-model'), join(scene.folder, 'big-model'), { recursive: true });
  return { ...context, scene, link, control, caFile, keys };
}

/** Seconds from the start of a run's app to its end, with nodes that reach the SuperLink at one of its ports. */
async function secondsOfRun(federation: Federation, port: number, held: number[]): Promise<number> {
  const { control, scene, link, flower } = federation;
  const started = startNodes(federation, port);
  await until(async () => (await control.listNodes()).filter(({ status }) => status === 'online').length === nodes);
  const environment = { FLWR_HOME: link.layout.flowerHome };
  await scene.run(
    flower('flwr'),
    ['run', join(scene.folder, 'big-model'), 'oneflower', '--format', 'json'],
    environment,
  );
  await until(async () => {
    held.push(await memoryOf(link.agent.child.pid));
    // Flower at times refuses while its database takes in a model: asked again.
    const [run] = await control.listRuns().catch(() => []);
    return run?.status === 'finished';
  });
  const [run] = await control.listRuns();
  // Orderly: Flower accepts their keys again at once.
  await Promise.all(started.map(stop));
  if (run?.subStatus !== 'completed') throw new Error(`The run has ${run?.subStatus}: ${run?.details}`);
  return (Date.parse(run.finishedAt) - Date.parse(run.runningAt)) / 1000;
}

function startNodes({ scene, flower, caFile, keys }: Federation, port: number): Started[] {
  return keys.map((key, node) =>
    scene.start(flower('flower-supernode'), [
      ...['--superlink', `${scene.address(1)}:${port}`, '--root-certificates', caFile],
      ...['--auth-supernode-private-key', key, '--host', scene.address(2 + node)],
    ]),
  );
}
