import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Guest, startGuest } from './guest.ts';
import { openOneGate } from './one-gate.ts';
import { memoryOf, processNamed, Scene, secondsUntil, until } from './scene.ts';
import { round } from './timing.ts';
import type { Bench, Figure } from './types.ts';

const goal = 'at most 80 MB';

/** What the agents hold beside Flower's processes: after boot, and after the run of a use case. */
export const memory: Bench = {
  what: 'resident memory of the agents of a SuperLink and of a SuperNode, and of their Flower processes',
  run: ({ software }) =>
    Scene.play(async scene => {
      const gate = await openOneGate(scene.address(9));
      const reporting = { TOKEN: 'YES', ONEGATE_ENDPOINT: gate.endpoint, REPORT_READY: 'YES' };
      const joining = { FL_JOIN_TOKEN: 'a-join-token-of-this-bench' };
      const one = { FL_MIN_FIT_CLIENTS: '1', FL_MIN_EVALUATE_CLIENTS: '1', FL_MIN_AVAILABLE_CLIENTS: '1' };
      const link = await startGuest(scene, software, 1, {
        ...{ FL_ROLE: 'superlink', VMID: '1', FL_USE_CASE: 'anomaly-detection', FL_NUM_ROUNDS: '2' },
        ...{ ...one, ...joining, ...reporting },
      });
      await secondsUntil(link.agent, link.isReady);
      const figures = [await agentFigure('agent of the SuperLink, after boot', link)];
      const node = await startGuest(scene, software, 2, {
        ...{ FL_ROLE: 'supernode', VMID: '2', FL_SUPERLINK_ADDRESS: `${scene.address(1)}:9092` },
        ...{ FL_SSL_CA_CERTFILE: await readFile(join(link.layout.certs, 'ca.crt'), 'utf8'), ...joining, ...reporting },
      });
      await secondsUntil(node.agent, node.isReady);
      figures.push(await agentFigure('agent of the SuperNode, after boot', node));
      await until(async () => (await eventsOf(link)).includes('"model_saved"'));
      figures.push(await agentFigure('agent of the SuperLink, after a run', link));
      figures.push(await agentFigure('agent of the SuperNode, after a run', node));
      for (const [guest, programs] of [
        [link, ['flower-superlink', 'flower-superexec']],
        [node, ['flower-supernode']],
      ] as const) {
        for (const program of programs) figures.push(await flowerFigure(guest, program));
      }
      gate.close();
      return figures;
    }),
};

async function agentFigure(name: string, { agent }: Guest): Promise<Figure> {
  return { name, value: round(await memoryOf(agent.child.pid), 1), unit: 'MB', goal };
}

async function flowerFigure({ layout }: Guest, program: string): Promise<Figure> {
  const pid = await processNamed(layout.root, program);
  return { name: `${program}, after a run`, value: round(await memoryOf(pid), 1), unit: 'MB' };
}

function eventsOf({ layout }: Guest): Promise<string> {
  return readFile(join(layout.state, 'events.jsonl'), 'utf8').catch(() => '');
}
