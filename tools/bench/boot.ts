import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isHealthy } from './flower.ts';
import { startGuest } from './guest.ts';
import { openOneGate } from './one-gate.ts';
import { Scene, secondsUntil, stop } from './scene.ts';
import { median, round } from './timing.ts';
import type { Bench, BenchContext } from './types.ts';

const turns = 5;

/** How long a SuperLink's VM takes beside what Flower alone takes: the price of certificates, gate and publishing. */
export const boot: Bench = {
  what: `a SuperLink ready by its agent (first boot, TLS) against the bare flower-superlink healthy, ${turns} times each in turn`,
  run: context =>
    Scene.play(async scene => {
      const bare: number[] = [];
      const ours: number[] = [];
      for (let turn = 0; turn < turns; turn++) {
        bare.push(await bareSuperLink(scene, context));
        ours.push(await bootedGuest(scene, context));
      }
      return [
        { name: 'agent, until READY', value: round(median(ours)), unit: 's' },
        { name: 'bare flower-superlink, until /health', value: round(median(bare)), unit: 's' },
        { name: 'ratio', value: round(median(ours) / median(bare)), unit: '', goal: 'at most 1.3' },
      ];
    }),
};

async function bareSuperLink(scene: Scene, { flower }: BenchContext): Promise<number> {
  const folder = await mkdtemp(join(scene.folder, 'bare-'));
  const host = scene.address(1);
  const args = ['--insecure', '--host', host, '--database', join(folder, 'state.db')];
  const started = scene.start(flower('flower-superlink'), [...args, '--disable-runtime-dependency-installation']);
  const seconds = await secondsUntil(started, () => isHealthy(host));
  await stop(started);
  await rm(folder, { recursive: true });
  return seconds;
}

async function bootedGuest(scene: Scene, { software }: BenchContext): Promise<number> {
  const gate = await openOneGate(scene.address(3));
  const reporting = { TOKEN: 'YES', ONEGATE_ENDPOINT: gate.endpoint, VMID: '1', REPORT_READY: 'YES' };
  const guest = await startGuest(scene, software, 2, { FL_ROLE: 'superlink', ...reporting });
  const seconds = await secondsUntil(guest.agent, guest.isReady);
  await stop(guest.agent);
  gate.close();
  await rm(join(scene.folder, 'guest-2'), { recursive: true });
  return seconds;
}
