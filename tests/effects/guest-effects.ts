import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { until } from '../support/until.ts';
import { commandLine, type Effects } from './effect.ts';
import type { Member } from './scene.ts';
import { noRelease, publicKey } from './values.ts';

/** Variables that decide which Flower runs, what is logged, and how the VM speaks with the platform. */
export const guestEffects = {
  async FLOWER_VERSION(scene) {
    const { superLink: plain } = await scene.plain();
    const other = await scene.otherRelease();
    const warnings = async ({ guest }: Member) =>
      (await guest.log())
        .split('\n')
        .filter(line => line.includes('[WARNING]') && line.includes('cannot be installed'));
    expect(await warnings(plain)).toEqual([]);
    expect(await warnings(other)).toEqual([expect.stringContaining(`Flower ${noRelease} cannot be installed`)]);
    for (const member of [plain, other]) {
      const path = (await environmentOf(member)).find(variable => variable.startsWith('PATH='));
      expect(path?.split(':')).toContainEqual(expect.stringMatching(/\/versions\/1\.41\.0\/bin$/));
    }
    if (process.env.ONEFLOWER_FULL !== '1') return;
    const older = await scene.older('1.39.0');
    expect(await commandLine(older.superLink, 'flower-superlink')).toContain('/versions/1.39.0/bin/flower-superlink ');
    const nodeCommand = await commandLine(older.node, 'flower-supernode');
    expect(nodeCommand).toContain('/versions/1.39.0/bin/flower-supernode ');
    expect(nodeCommand).toContain('--auth-supernode-private-key');
    expect(scene.oneGate.attributes(older.node.vmId)).toMatchObject({ FL_VERSION: '1.39.0', FL_NODE_READY: 'YES' });
    const joined = async () => (await older.superLink.guest.events('client_join')).length === 1;
    await until('the older SuperLink has seen its node join', joined);
  },

  async FL_LOG_LEVEL(scene) {
    const [{ superLink: plain }, { superLink: open }] = await Promise.all([scene.plain(), scene.openSite()]);
    const said = async ({ guest }: Member) => (await guest.log()).includes('[DEBUG]');
    await until('the open SuperLink has said something of level DEBUG', () => said(open));
    expect(await said(plain)).toBe(false);
    expect(await environmentOf(plain)).toContain('FLWR_LOG_LEVEL=INFO');
    expect(await environmentOf(open)).toContain('FLWR_LOG_LEVEL=DEBUG');
  },

  async FL_LOG_FORMAT(scene) {
    const [{ superLink: plain }, { superLink: changed }] = await Promise.all([scene.plain(), scene.changed()]);
    const lines = async ({ guest }: Member) =>
      (await guest.log()).split('\n').filter(line => line.includes('Starting Flower SuperLink'));
    expect(await lines(plain)).toEqual([expect.stringMatching(/^\[.*\] \[INFO\] \[flwr\] /)]);
    const [line = ''] = await lines(changed);
    expect(JSON.parse(line)).toMatchObject({ level: 'INFO', logger: 'flwr', role: 'superlink' });
  },

  async FL_SUPERLINK_ADDRESS(scene) {
    const [changed, open] = await Promise.all([scene.changed(), scene.openSite()]);
    const target = `--superlink ${changed.superLink.address}:19092 `;
    expect(await commandLine(changed.node, 'flower-supernode')).toContain(target);
    const discovery = 'GET /service?extended=true';
    expect(scene.oneGate.requests(changed.node.vmId)).not.toContain(discovery);
    expect(scene.oneGate.requests(open.node.vmId)).toContain(discovery);
  },

  async TOKEN(scene) {
    const [{ superLink: plain }, { superLink: changed }] = await Promise.all([scene.plain(), scene.changed()]);
    expect(scene.oneGate.requests(plain.vmId)).toEqual([]);
    expect(scene.oneGate.attributes(changed.vmId)).toMatchObject({ FL_ROLE: 'superlink', FL_READY: 'YES' });
  },

  async REPORT_READY(scene) {
    const [{ superLink: changed }, { superLink: open }] = await Promise.all([scene.changed(), scene.openSite()]);
    expect(scene.oneGate.attributes(changed.vmId)).toMatchObject({ FL_READY: 'YES', READY: 'YES' });
    expect(scene.oneGate.attributes(open.vmId)).toMatchObject({ FL_READY: 'YES', READY: 'NO' });
  },

  async READY_SCRIPT_PATH(scene) {
    const { superLink, node, beforeScript } = await scene.openSite();
    expect(beforeScript).toMatchObject({ FL_READY: 'NO' });
    expect(beforeScript).not.toHaveProperty('FL_NODE_READY', 'YES');
    expect(scene.oneGate.attributes(node.vmId)).toMatchObject({ FL_READY: 'YES', FL_NODE_READY: 'YES' });
    // Its SuperLink has no script to wait for.
    expect(existsSync(superLink.guest.path('tries'))).toBe(false);
    expect(scene.oneGate.attributes(superLink.vmId)).toMatchObject({ FL_READY: 'YES' });
  },

  async SSH_PUBLIC_KEY(scene) {
    const [{ superLink: plain }, { superLink: changed }] = await Promise.all([scene.plain(), scene.changed()]);
    const file = 'root/.ssh/authorized_keys';
    expect(existsSync(plain.guest.path(file))).toBe(false);
    expect(await readFile(changed.guest.path(file), 'utf8')).toBe(`${publicKey}\n`);
  },
} satisfies Effects;

async function environmentOf({ guest }: Member): Promise<string[]> {
  const flower = await guest.process('flower-superlink');
  return (await readFile(`/proc/${flower?.pid}/environ`, 'utf8')).split('\0');
}
