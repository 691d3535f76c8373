import { existsSync } from 'node:fs';
import { SuperLinkStatus } from '@oneflower/contract';
import { expect } from 'vitest';
import { flowerRuns, type ReportedRun } from '../support/flower-runs.ts';
import { until } from '../support/until.ts';
import { ask } from '../support/wire.ts';
import { commandLine, type Effects, isStartedByAgent, ownCa } from './effect.ts';
import type { Member, Scene } from './scene.ts';
import { operatorToken } from './values.ts';

/** Variables that decide what is run, and how. */
export const runEffects = {
  async FL_USE_CASE(scene) {
    const { before, run } = await scene.plainRun();
    expect(before).toEqual([]);
    expect(run.fabId).toBe('oneflower/anomaly-detection');
  },

  async ML_FRAMEWORK(scene) {
    const { code, guest } = await scene.refused('superlink', { ML_FRAMEWORK: 'no-framework' });
    expect(code).toBe('config_validation_failed');
    expect(await guest.log()).toContain('ML_FRAMEWORK="no-framework" is refused');
    expect(await scene.refused('superlink', { ML_FRAMEWORK: 'sklearn', FL_NUM_ROUNDS: '0' }).then(logOf)).not.toContain(
      'ML_FRAMEWORK',
    );
  },

  async FL_NUM_ROUNDS(scene) {
    expect((await scene.plainRun()).run.config['num-server-rounds']).toBe(3);
    expect(await scene.changedRun()).toMatchObject({ status: 'completed', rounds_done: 1 });
  },

  async FL_MIN_FIT_CLIENTS(scene) {
    expect((await scene.plainRun()).run.config['min-fit-clients']).toBe(2);
    expect((await openRun(scene)).config['min-fit-clients']).toBe(3);
  },

  async FL_MIN_EVALUATE_CLIENTS(scene) {
    expect((await scene.plainRun()).run.config['min-evaluate-clients']).toBe(2);
    expect((await openRun(scene)).config['min-evaluate-clients']).toBe(4);
  },

  async FL_MIN_AVAILABLE_CLIENTS(scene) {
    const waiting = await statusOf(await scene.otherRelease());
    expect(waiting.waitingFor).toMatch(/^2 SuperNodes must be online/);
    // One node is all that there is here.
    expect((await openRun(scene)).config['min-available-clients']).toBe(1);
  },

  async FL_ISOLATION(scene) {
    const [plain, changed] = await Promise.all([scene.plain(), scene.changed()]);
    for (const [site, isolation] of [
      [plain, 'subprocess'],
      [changed, 'process'],
    ] as const) {
      expect(await commandLine(site.superLink, 'flower-superlink')).toContain(`--isolation ${isolation} `);
      expect(await commandLine(site.node, 'flower-supernode')).toContain(`--isolation ${isolation} `);
      for (const member of [site.superLink, site.node]) {
        expect(await isStartedByAgent(member, 'flower-superexec')).toBe(isolation === 'process');
      }
    }
  },

  async FL_WARM_WORKERS(scene) {
    const [plain, changed] = await Promise.all([scene.plain(), scene.changed()]);
    await scene.plainRun();
    const { guest } = plain.node;
    await until('a warm worker waits', async () => (await guest.events('worker_warm')).length > 0);
    await scene.changedRun();
    expect(await changed.node.guest.events('worker_warm')).toEqual([]);
  },

  async FL_DATABASE(scene) {
    const [plain, changed] = await Promise.all([scene.plain(), scene.changed()]);
    const files = ['opt/flower/state/state.db', 'opt/flower/state/other.db'];
    const present = ({ guest }: Member) => files.map(file => existsSync(guest.path(file)));
    expect(present(plain.superLink)).toEqual([true, false]);
    expect(present(changed.superLink)).toEqual([false, true]);
  },

  async FL_NODE_CONFIG(scene) {
    const { plain, changed } = { plain: await scene.plain(), changed: await scene.changed() };
    expect(await commandLine(plain.node, 'flower-supernode')).toMatch(
      /--node-config partition-id=[01] num-partitions=\d /,
    );
    expect(await commandLine(changed.node, 'flower-supernode')).toContain(
      '--node-config partition-id=5 num-partitions=9 label="shop floor" ',
    );
    const [loaded] = await until('the ClientApp has loaded its data', async () => {
      const events = await changed.node.guest.events('data_loaded');
      return events.length > 0 && events;
    });
    expect(loaded).toMatchObject({ source: 'bundled', partition_id: 5 });
  },
} satisfies Effects;

/** The run of the open site, which waits for nodes. */
export async function openRun(scene: Scene): Promise<ReportedRun> {
  const { superLink } = await scene.openSite();
  return until('the open site has a run', async () => (await flowerRuns(`http://${superLink.address}:8000`))[0]);
}

async function statusOf(superLink: Member): Promise<SuperLinkStatus> {
  const url = `https://${superLink.address}:9093/v1/operator/status`;
  const { text } = await ask(url, { caPem: await ownCa(superLink), token: operatorToken });
  return SuperLinkStatus.parse(JSON.parse(text));
}

async function logOf({ guest }: { guest: Member['guest'] }): Promise<string> {
  return guest.log();
}
