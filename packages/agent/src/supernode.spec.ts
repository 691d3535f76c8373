import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { layoutOf } from './layout.ts';
import { SuperNode } from './supernode.ts';
import { processesOf } from './supervision/processes.ts';
import { loopbackNetwork } from './testing/agents.ts';
import { quietGuest } from './testing/quiet-guest.ts';
import { softwareWithFlower } from './testing/software.ts';
import { joinToken, startSuperLink } from './testing/superlinks.ts';

const often = { timeout: 10_000, interval: 10 };
const never = new AbortController().signal;
const orderly = "process.on('SIGTERM', () => process.exit(0))";
const stubborn = "process.on('SIGTERM', () => {})";

type World = Awaited<ReturnType<typeof world>>;

/** A node whose Flower is a program that only lives, and the site of a SuperLink whose Flower is a book. */
async function world(flower = orderly) {
  const { clock, lines, guest } = await quietGuest();
  const { root } = guest.layout;
  const at = loopbackNetwork();
  const superLink = await startSuperLink({ folder: root, address: at(1), clock });
  const { book, site } = superLink;

  const context = {
    FL_ROLE: 'supernode',
    FL_SUPERLINK_ADDRESS: superLink.endpoint,
    FL_SSL_CA_CERTFILE: superLink.authority.certificatePem,
    FL_JOIN_TOKEN: joinToken,
    VMID: '8',
  };
  const software = await softwareWithFlower(root, flower);
  const folder = join(root, 'context');
  await mkdir(folder);
  await writeFile(
    join(folder, 'context.sh'),
    Object.entries(context)
      .map(([name, value]) => `${name}='${value}'\n`)
      .join(''),
  );
  Object.assign(guest.options, { context: folder, address: at(2) });
  Object.assign(guest.layout, { software: layoutOf(root, software).software });
  await guest.readContext();
  await guest.validate();
  await guest.prepareFolders();
  await guest.chooseRelease(never);

  const superNode = new SuperNode(guest);
  const mark = join(guest.layout.state, 'session');
  const state = () => guest.supervisor.state('flower-supernode');
  onTestFinished(async () => {
    superLink.isUp = true;
    await ended(superNode.stop());
    superLink.close();
  });

  /** Waits for an end that may take time: that of the clock passes meanwhile. */
  async function ended(stopping: Promise<void>): Promise<void> {
    let isDone = false;
    void stopping.then(() => {
      isDone = true;
    });
    await expect.poll(() => clock.advance(100).then(() => isDone)).toBe(true);
  }

  return {
    ...{ clock, lines, guest, book, site, superLink, superNode, state, ended },
    isMarked: () => existsSync(mark),
    /** As an earlier life of this VM leaves it that lost its power. */
    cutOff: () => writeFile(mark, ''),
    async enrol() {
      await superNode.discover();
      await superNode.decideTrust();
      await superNode.prepareKey();
      await superNode.enrol();
    },
    /** The next question is answered so: the site asks Flower once a second. */
    async listed(status: 'online' | 'offline') {
      const { nodeId } = superNode.enrolment;
      book.setOnline(status === 'online' && nodeId !== null ? [nodeId] : []);
      await clock.advance(1000);
    },
    async up() {
      await expect.poll(() => lines.some(line => line.endsWith('Flower is up'))).toBe(true);
    },
  };
}

async function killFlower({ guest, state }: World): Promise<void> {
  const [flower] = await processesOf(guest.layout.root);
  process.kill(flower?.pid ?? 0, 'SIGKILL');
  await expect.poll(() => state()?.running).toBe(false);
}

describe('the mark of a session that may not be over', () => {
  it('is there while Flower runs, and gone when that was stopped and has ended in order', async () => {
    const node = await world();
    await node.enrol();
    expect(node.isMarked()).toBe(false);
    await node.superNode.startFlower(never);
    await node.up();
    expect(node.isMarked()).toBe(true);
    await node.superNode.stop();
    expect(node.isMarked()).toBe(false);
  });

  it('stays when Flower had to be killed', async () => {
    const node = await world(stubborn);
    await node.enrol();
    await node.superNode.startFlower(never);
    await node.up();
    await node.ended(node.superNode.stop());
    expect(node.isMarked()).toBe(true);
  });

  it('stays when the agent is stopped after Flower has died', async () => {
    const node = await world();
    await node.enrol();
    await node.superNode.startFlower(never);
    await node.up();
    await killFlower(node);
    await node.superNode.stop();
    expect(node.isMarked()).toBe(true);
  });

  it('stays when the agent is stopped before Flower was started', async () => {
    const node = await world();
    await node.cutOff();
    await node.enrol();
    await node.superNode.stop();
    expect(node.isMarked()).toBe(true);
  });

  it('stays when the agent is stopped while Flower is held back, which is never started then', async () => {
    const node = await world();
    await node.cutOff();
    await node.enrol();
    await node.listed('online');
    await node.superNode.startFlower(never);
    await expect.poll(() => node.lines.join()).toContain('the SuperLink refuses its key until');
    await node.superNode.stop();
    await node.listed('offline');
    await node.clock.advance(100_000);
    expect(node.isMarked()).toBe(true);
    expect(node.lines.join()).not.toContain('Flower is up');
  });
});

describe('a node whose former session may not be over', () => {
  /** After how many seconds of Flower's life the node takes itself to be online. */
  async function online({ clock, superNode, state }: World): Promise<number> {
    let seconds: number | undefined;
    const startedAt = state()?.startedAt ?? 0;
    void superNode.waitOnline(never).then(() => {
      seconds = (clock.now() - startedAt) / 1000;
    });
    await expect.poll(() => clock.advance(500).then(() => seconds), often).toBeDefined();
    return seconds ?? -1;
  }

  it('is online when it is listed, once it was listed offline', async () => {
    const node = await world();
    await node.cutOff();
    await node.enrol();
    await node.superNode.startFlower(never);
    await node.up();
    await node.listed('online');
    expect(await online(node)).toBeLessThan(10);
  });

  it('is online when its Flower was not refused, where nobody could be asked', async () => {
    const node = await world();
    await node.cutOff();
    await node.enrol();
    node.superLink.isUp = false;
    await node.superNode.startFlower(never);
    await node.up();
    node.superLink.isUp = true;
    await node.listed('online');
    expect(await online(node)).toBeGreaterThanOrEqual(20);
  });

  it('tells one phase while Flower is held back, and why the one before has ended', async () => {
    const node = await world();
    await node.enrol();
    await node.superNode.startFlower(never);
    await node.up();
    await node.listed('online');
    await online(node);
    const stop = new AbortController();
    const watching = node.superNode.watch(stop.signal).catch(() => undefined);
    await killFlower(node);
    await node.clock.advance(5000);
    const told: (string | null)[] = [];
    await expect
      .poll(async () => {
        await node.clock.advance(1000);
        const [seen] = node.site.nodes();
        if (seen && seen.phase !== 'running') told.push(`${seen.phase}: ${seen.error}`);
        return told.length;
      }, often)
      .toBeGreaterThan(30);
    expect(new Set(told)).toEqual(
      new Set([
        'failed: flower-supernode was ended by SIGKILL.\nFlower is held back until the SuperLink lists the node offline.',
      ]),
    );
    expect(node.lines.filter(line => /\[WARNING\].*(was ended by|held back)/s.test(line))).toHaveLength(1);
    expect(node.superNode.flowerTrouble()).toMatchObject({
      code: 'flower_start_failed',
      reason: expect.stringContaining('memory'),
    });
    stop.abort(new Error('enough'));
    await watching;
  });
});
