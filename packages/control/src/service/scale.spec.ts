import type { Service } from '@oneflower/opennebula';
import { describe, expect, it } from 'vitest';
import { FakeFlow, serviceOf, vmOf } from '../testing/fake-flow.ts';
import { scaleService } from './scale.ts';

function scale(flow: FakeFlow, nodes: number, wait = false) {
  const context = { cloud: flow.cloud, clock: flow.clock, notify: flow.notify };
  return flow.finish(scaleService(context, { service: 'flower', nodes, wait }));
}

describe('scaling', () => {
  it('asks OneFlow for the SuperNodes alone, and says who leaves: the oldest', async () => {
    const flow = new FakeFlow(serviceOf('RUNNING', 3));
    expect(await scale(flow, 1)).toEqual({
      id: 5,
      name: 'flower',
      from: 3,
      to: 1,
      leaving: ['supernode_0_(service_5)', 'supernode_1_(service_5)'],
      state: 'SCALING',
    });
    expect(flow.calls).toEqual(['scale supernode 1']);
  });

  it.each([0, 5, -1, 1.5])('to %d is refused before OneFlow is asked: the limits are 1 to 4', async nodes => {
    const flow = new FakeFlow(serviceOf('RUNNING'));
    await expect(scale(flow, nodes)).rejects.toMatchObject({ code: 'scale-limits', fault: 'user' });
    expect(flow.calls).toEqual([]);
  });

  it.each<[Service['state'], string]>([
    ['COOLDOWN', '10 seconds for this service'],
    ['WARNING', 'supernode_0_(service_5) is POWEROFF'],
    ['DEPLOYING', 'only while it is RUNNING'],
    ['FAILED_SCALING', 'The last scaling has failed'],
  ])('in %s is refused with the reason', async (state, reason) => {
    const flow = new FakeFlow(serviceOf(state));
    const vm = flow.vms.get(11);
    if (vm) flow.vms.set(11, { ...vm, state: 'POWEROFF' });
    await expect(scale(flow, 3)).rejects.toMatchObject({
      code: 'scale-state',
      reason: expect.stringContaining(reason),
    });
    expect(flow.calls).toEqual([]);
  });

  it('to the number that there is changes nothing', async () => {
    const flow = new FakeFlow(serviceOf('COOLDOWN'));
    expect(await scale(flow, 2)).toMatchObject({ from: 2, to: 2, state: 'COOLDOWN' });
    expect(flow.calls).toEqual([]);
  });

  it('with wait ends when the VMs are there and OneFlow has ended scaling', async () => {
    const flow = new FakeFlow(serviceOf('RUNNING'));
    flow.onCall = () => {
      flow.service = { ...serviceOf('RUNNING'), state: 'SCALING' };
      flow.clock.after(20_000, () => {
        flow.service = serviceOf('SCALING', 3);
      });
      flow.clock.after(30_000, () => {
        flow.service = serviceOf('COOLDOWN', 3);
      });
    };
    expect(await scale(flow, 3, true)).toMatchObject({ state: 'COOLDOWN' });
    expect(flow.progress).toEqual([
      { type: 'service_state', name: 'flower', state: 'SCALING' },
      { type: 'service_state', name: 'flower', state: 'COOLDOWN' },
    ]);
  });

  it('with wait goes on through a restart of the cloud', async () => {
    const flow = new FakeFlow(serviceOf('RUNNING'));
    flow.onCall = () => {
      flow.away = true;
      flow.clock.after(60_000, () => {
        flow.away = false;
        flow.service = serviceOf('RUNNING', 3);
      });
    };
    expect(await scale(flow, 3, true)).toMatchObject({ state: 'RUNNING' });
  });

  describe('with wait, when a new SuperNode', () => {
    const text = 'The data folder cannot be read. Make it readable.';

    /** A SuperNode that comes and shows what it is given; the service waits for it in SCALING. */
    function withNewVm(userTemplate: Record<string, string>): FakeFlow {
      const flow = new FakeFlow(serviceOf('RUNNING'));
      flow.onCall = () => {
        flow.service = serviceOf('SCALING', 3);
        flow.vms.set(13, { ...vmOf(13, 'supernode_2_(service_5)'), userTemplate });
      };
      return flow;
    }
    const failing = (code: string) =>
      withNewVm({ FL_ERROR: code, FL_ERROR_TEXT: Buffer.from(text).toString('base64') });

    it('cannot become ready, tells its error and ends when that lasts', async () => {
      const flow = failing('data_unreadable');
      const begun = flow.clock.now();
      await expect(scale(flow, 3, true)).rejects.toMatchObject({
        code: 'scale-failed',
        message: 'supernode_2_(service_5) of flower cannot become ready: data_unreadable.',
        reason: text,
        remedy: expect.stringContaining('onevm reboot 13'),
      });
      expect(flow.clock.now() - begun).toBeLessThan(130_000);
      expect(flow.progress).toContainEqual(expect.objectContaining({ type: 'vm_error', id: 13, text }));
      expect(flow.progress.filter(one => one.type === 'vm_state')).toHaveLength(1);
    });

    it('fails for values that are wrong, ends at once', async () => {
      const flow = failing('config_validation_failed');
      const begun = flow.clock.now();
      await expect(scale(flow, 3, true)).rejects.toMatchObject({ code: 'scale-failed' });
      expect(flow.clock.now() - begun).toBeLessThan(5000);
    });

    it('gets over its error, goes on', async () => {
      const flow = failing('data_unreadable');
      flow.clock.after(100_000, () => {
        flow.service = serviceOf('COOLDOWN', 3);
        flow.vms.set(13, vmOf(13, 'supernode_2_(service_5)'));
      });
      expect(await scale(flow, 3, true)).toMatchObject({ state: 'COOLDOWN' });
    });

    it('says nothing, ends after half an hour', async () => {
      const flow = withNewVm({});
      const begun = flow.clock.now();
      await expect(scale(flow, 3, true)).rejects.toMatchObject({
        code: 'scale-timeout',
        message: 'flower does not have 3 ready SuperNodes after 1800 seconds.',
      });
      expect(flow.clock.now() - begun).toBeLessThan(1_810_000);
    });

    it('comes, is not ended by an old one that has an error of its own', async () => {
      const flow = withNewVm({});
      flow.vms.set(11, { ...vmOf(11, 'supernode_0_(service_5)'), userTemplate: { FL_ERROR: 'data_unreadable' } });
      flow.clock.after(500_000, () => {
        flow.service = serviceOf('RUNNING', 3);
      });
      expect(await scale(flow, 3, true)).toMatchObject({ state: 'RUNNING' });
      expect(flow.progress.filter(one => one.type === 'vm_error')).toEqual([]);
    });
  });

  it('with wait ends when it fails', async () => {
    const flow = new FakeFlow(serviceOf('RUNNING'));
    flow.onCall = () => {
      const log = [{ timestamp: 0, severity: 'E', message: 'VM 13 failed' }];
      flow.service = { ...serviceOf('FAILED_SCALING', 3), log };
    };
    await expect(scale(flow, 3, true)).rejects.toMatchObject({ code: 'scale-failed', reason: 'VM 13 failed' });
  });
});
