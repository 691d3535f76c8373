import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Service } from '@oneflower/opennebula';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeFlow, failure, serviceOf } from '../testing/fake-flow.ts';
import { deleteService } from './delete.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'oneflower-delete-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

function remove(flow: FakeFlow, signal?: AbortSignal) {
  return flow.finish(
    deleteService({ cloud: flow.cloud, home, clock: flow.clock, notify: flow.notify, signal }, 'flower'),
  );
}

function enter(flow: FakeFlow, state: Service['state']): void {
  if (flow.service) flow.service.state = state;
}

function goneAfter(flow: FakeFlow, ms: number): void {
  flow.clock.after(ms, () => {
    flow.service = undefined;
    flow.vms.clear();
  });
}

describe('removing a service', () => {
  it.each<[Service['state'], string]>([
    ['RUNNING', 'delete'],
    ['WARNING', 'delete'],
    ['HOLD', 'delete'],
    ['DEPLOYING', 'recover-delete'],
    ['SCALING', 'recover-delete'],
    ['FAILED_DEPLOYING', 'recover-delete'],
    ['FAILED_SCALING', 'recover-delete'],
    ['FAILED_UNDEPLOYING', 'recover-delete'],
    ['FAILED_DEPLOYING_NETS', 'recover-delete'],
  ])('in state %s sends %s, once', async (state, call) => {
    const flow = new FakeFlow(serviceOf(state));
    flow.onCall = () => {
      enter(flow, 'UNDEPLOYING');
      goneAfter(flow, 30_000);
    };
    expect(await remove(flow)).toEqual({ id: 5, name: 'flower', vms: 3 });
    expect(flow.calls).toEqual([call]);
  });

  it('that is being removed already only waits: a second DELETE would leave its VMs behind', async () => {
    const flow = new FakeFlow(serviceOf('UNDEPLOYING'));
    goneAfter(flow, 60_000);
    await remove(flow);
    expect(flow.calls).toEqual([]);
  });

  it('does not send DELETE again while OneFlow has not begun with it', async () => {
    const flow = new FakeFlow(serviceOf('RUNNING'));
    flow.onCall = () => goneAfter(flow, 100_000);
    await remove(flow);
    expect(flow.calls).toEqual(['delete']);
  });

  it('ends a cooldown first', async () => {
    const flow = new FakeFlow(serviceOf('COOLDOWN'));
    flow.onCall = call => {
      if (call === 'recover') enter(flow, 'RUNNING');
      else goneAfter(flow, 5_000);
    };
    await remove(flow);
    expect(flow.calls).toEqual(['recover', 'delete']);
  });

  it('looks again when the state has changed meanwhile', async () => {
    const flow = new FakeFlow(serviceOf('RUNNING'));
    flow.onCall = call => {
      if (call === 'delete') {
        enter(flow, 'SCALING');
        throw failure('wrong-state', 'DELETE /service/5');
      }
      goneAfter(flow, 5_000);
    };
    await remove(flow);
    expect(flow.calls).toEqual(['delete', 'recover-delete']);
  });

  it('whose answer was lost is sent again only when the service still stands after a while', async () => {
    const flow = new FakeFlow(serviceOf('RUNNING'));
    const times: number[] = [];
    flow.onCall = () => {
      times.push(flow.clock.now());
      if (times.length === 1) throw failure('timeout', 'DELETE /service/5');
      goneAfter(flow, 1_000);
    };
    await remove(flow);
    expect(flow.calls).toEqual(['delete', 'delete']);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(30_000);
  });

  it('that stays in UNDEPLOYING is recovered, because nothing else ends a refused shutdown', async () => {
    const flow = new FakeFlow(serviceOf('RUNNING'));
    flow.onCall = call => {
      if (call === 'delete') enter(flow, 'UNDEPLOYING');
      else goneAfter(flow, 1_000);
    };
    await remove(flow);
    expect(flow.calls).toEqual(['delete', 'recover']);
  });

  it('goes on from a failed removal', async () => {
    const flow = new FakeFlow(serviceOf('RUNNING'));
    flow.onCall = call => {
      if (call === 'delete') enter(flow, 'FAILED_UNDEPLOYING');
      else goneAfter(flow, 1_000);
    };
    await remove(flow);
    expect(flow.calls).toEqual(['delete', 'recover-delete']);
  });

  it('names VMs that stay', async () => {
    const flow = new FakeFlow(serviceOf('RUNNING'));
    flow.onCall = () => {
      flow.service = undefined;
      flow.vms.delete(10);
    };
    await expect(remove(flow)).rejects.toMatchObject({ code: 'vms-left', details: { vms: [11, 12] } });
  });

  it('of many VMs asks for all at once', async () => {
    const flow = new FakeFlow(serviceOf('RUNNING', 200));
    flow.onCall = () => {
      flow.service = undefined;
      flow.clock.after(3_000, () => flow.vms.clear());
    };
    expect(await remove(flow)).toMatchObject({ vms: 201 });
  });

  it('goes on through a restart of the cloud', async () => {
    const flow = new FakeFlow(serviceOf('RUNNING'));
    flow.onCall = () => {
      flow.away = true;
      flow.clock.after(60_000, () => {
        flow.away = false;
        flow.service = undefined;
        flow.vms.clear();
      });
    };
    await remove(flow);
    expect(flow.calls).toEqual(['delete']);
  });

  it('that never ends is given up with the state it is in', async () => {
    const flow = new FakeFlow(serviceOf('UNDEPLOYING'));
    await expect(remove(flow)).rejects.toMatchObject({ code: 'delete-timeout' });
  });

  it('that is interrupted says what goes on', async () => {
    const flow = new FakeFlow(serviceOf('RUNNING'));
    const controller = new AbortController();
    flow.clock.after(3_000, () => controller.abort(new Error('interrupted')));
    await expect(remove(flow, controller.signal)).rejects.toMatchObject({ code: 'delete-interrupted' });
  });

  it('that is not there is corrected', async () => {
    const flow = new FakeFlow({ ...serviceOf('RUNNING'), name: 'flowers' });
    await expect(remove(flow)).rejects.toMatchObject({
      code: 'service-not-found',
      message: expect.stringContaining('Did you mean flowers?'),
    });
  });
});
