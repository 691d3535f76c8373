import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { node, running, SiteStage } from './testing.ts';

const minute = 60_000;

let stage: SiteStage;
beforeEach(async () => {
  stage = await SiteStage.open();
});
afterEach(() => stage.close());

describe('the state of nodes', () => {
  it('follows Flower for online, and tells of those that come and go', async () => {
    const { nodeId, nodeToken } = await stage.client().enrol(node({ name: 'alpha' }));
    expect(await stage.client().state(nodeToken, running)).toMatchObject({ online: false, training: false });
    stage.book.setOnline([nodeId ?? '']);
    await stage.clock.advance(1000);
    stage.site.setTraining(true);
    const state = await stage.client().state(nodeToken, running);
    expect(state).toEqual({ online: true, training: true, partition: { id: 0, of: 3 } });
    await stage.site.refresh();
    await stage.site.refresh();
    stage.book.setOnline([]);
    await stage.site.refresh();
    const told = stage.events.filter(([event]) => event !== 'node_enrolled');
    expect(told).toEqual([
      ['client_join', { node_id: nodeId, name: 'alpha' }],
      ['client_leave', { node_id: nodeId, name: 'alpha' }],
    ]);
  });

  it.each(['starting', 'failed'] as const)('asks Flower, after a restart too, for a node that is %s', async phase => {
    const { nodeId, nodeToken } = await stage.client().enrol(node());
    stage.book.setOnline([nodeId ?? '']);
    await stage.start();
    expect(await stage.client().state(nodeToken, { ...running, phase })).toMatchObject({ online: true });
  });

  it('shows errors, restarts of phase and silence', async () => {
    const { nodeToken } = await stage.client().enrol(node());
    await stage.client().state(nodeToken, { phase: 'failed', restarts: 3, error: 'no data' });
    expect(stage.site.nodes()[0]).toMatchObject({
      phase: 'failed',
      error: 'no data',
      lastSeen: new Date(stage.clock.now()).toISOString(),
    });
    await stage.clock.advance(minute);
    expect(stage.site.nodes()[0]?.phase).toBe('away');
  });

  it('without TLS takes as many running nodes for online as Flower lists', async () => {
    await stage.start({ tls: false });
    const answers = await stage.enrolAll([node(), node()]);
    expect(answers.map(({ nodeId }) => nodeId)).toEqual([null, null]);
    await stage.client().state(answers[0]?.nodeToken ?? '', running);
    await stage.clock.advance(2000);
    const own = await stage.book.registerNode('', '');
    stage.book.setOnline([own]);
    expect((await stage.client().state(answers[0]?.nodeToken ?? '', running)).online).toBe(true);
    expect((await stage.client().state(answers[1]?.nodeToken ?? '', running)).online).toBe(false);
    expect(stage.site.onlineCount()).toBe(1);
  });

  it('loses nodes whose VM is gone, after two looks, and tells Flower even if that is down at first', async () => {
    stage.vms = new Set([1, 2]);
    await stage.enrolAll([node({ vmId: 1 }), node({ vmId: 2 })]);
    stage.vms = new Set([2]);
    await stage.clock.advance(minute);
    await stage.site.refresh();
    expect(stage.site.nodes()).toHaveLength(2);
    await stage.clock.advance(minute);
    const unregister = stage.book.unregisterNode;
    stage.book.unregisterNode = async () => {
      throw new Error('down');
    };
    await stage.site.refresh();
    expect(stage.site.nodes()).toHaveLength(1);
    expect(stage.warnings.join()).toContain('VM 1 does not exist');
    stage.book.unregisterNode = unregister;
    await stage.start();
    await stage.site.refresh();
    expect(stage.book.nodes.map(({ status }) => status)).toEqual(['unregistered', 'registered']);
  });

  it('ignores a OneGate that lists nothing', async () => {
    stage.vms = new Set([1]);
    await stage.client().enrol(node({ vmId: 1 }));
    stage.vms = new Set();
    for (let look = 0; look < 3; look++) {
      await stage.clock.advance(minute);
      await stage.site.refresh();
    }
    expect(stage.site.nodes()).toHaveLength(1);
  });
});
