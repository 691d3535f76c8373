import type { EnrolRequest, EnrolResponse } from '@oneflower/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { node, running, SiteStage } from './testing.ts';

const minute = 60_000;

let stage: SiteStage;
beforeEach(async () => {
  stage = await SiteStage.open();
});
afterEach(() => stage.close());

describe('leases', () => {
  it("give a removed node's partition to its replacement at once", async () => {
    const old = node({ vmId: 11 });
    stage.vms = new Set([10, 11, 12, 13]);
    await stage.enrolAll([node({ vmId: 10 }), old, node({ vmId: 12 })]);
    stage.vms = new Set([10, 12, 14]);
    const replacement = await stage.client().enrol(node({ vmId: 14 }));
    expect(replacement.partition).toEqual({ id: 1, of: 3 });
    expect(stage.book.nodes.find(({ publicKey }) => publicKey === old.publicKey)?.status).toBe('unregistered');
  });

  it('stay with a node that is silent as long as its VM exists', async () => {
    stage.vms = new Set([10, 11, 12, 13]);
    await stage.enrolAll([10, 11, 12].map(vmId => node({ vmId })));
    await stage.clock.advance(60 * minute);
    expect((await stage.client().enrol(node({ vmId: 13 }))).partition).toEqual({ id: 3, of: 4 });
  });

  it('of a long silent node are taken only when nothing else is free and Flower does not see it either', async () => {
    const [, second] = await stage.enrolAll([node(), node()]);
    await stage.clock.advance(16 * minute);
    const third = await stage.client().enrol(node());
    expect(third.partition.id).toBe(2);
    stage.book.setOnline([second?.nodeId ?? '', third.nodeId ?? '']);
    const fourth = await stage.client().enrol(node());
    expect(fourth.partition.id).toBe(0);
    expect((await stage.client().enrol(node())).partition).toEqual({ id: 3, of: 4 });
  });

  it('of a node that was silent for less are kept', async () => {
    await stage.enrolAll([node(), node(), node()]);
    await stage.clock.advance(14 * minute);
    expect((await stage.client().enrol(node())).partition.id).toBe(3);
  });

  it('count silence anew when the SuperLink restarts', async () => {
    await stage.enrolAll([node(), node(), node()]);
    await stage.clock.advance(60 * minute);
    await stage.start();
    expect((await stage.client().enrol(node())).partition.id).toBe(3);
  });

  it('honour what the operator gave, unless a live node holds it', async () => {
    expect((await stage.client().enrol(node({ partitionId: 7 }))).partition).toEqual({ id: 7, of: 8 });
    await expect(stage.client().enrol(node({ partitionId: 7 }))).rejects.toMatchObject({
      details: { refusal: 'partition-taken' },
    });
    await stage.clock.advance(16 * minute);
    expect((await stage.client().enrol(node({ partitionId: 7 }))).partition.id).toBe(7);
  });

  it('follow the operator when the node is given another one', async () => {
    const me = node();
    await stage.client().enrol(me);
    expect((await stage.client().enrol({ ...me, partitionId: 2 })).partition.id).toBe(2);
    expect((await stage.client().enrol(node())).partition.id).toBe(0);
  });

  it("never take a node of another site for removed because this site's OneGate does not list its VM", async () => {
    stage.vms = new Set([1, 2]);
    await stage.client().enrol(node({ vmId: 500 }));
    expect((await stage.client().enrol(node({ vmId: 2 }))).partition.id).toBe(1);
    await stage.clock.advance(minute);
    await stage.site.refresh();
    await stage.clock.advance(minute);
    await stage.site.refresh();
    expect(stage.site.nodes()).toHaveLength(2);
  });

  it('pass on when a VM was set up anew with another key', async () => {
    stage.vms = new Set([5]);
    await stage.client().enrol(node({ vmId: 5 }));
    await stage.clock.advance(2 * minute);
    expect((await stage.client().enrol(node({ vmId: 5 }))).partition.id).toBe(0);
    expect(stage.site.nodes()).toHaveLength(1);
  });
});

describe('leases after the service was scaled', () => {
  async function pass(looks: number): Promise<void> {
    for (let look = 0; look < looks; look++) {
      await stage.clock.advance(30_000);
      await stage.site.refresh();
    }
  }

  async function three(changed: Partial<EnrolRequest> = {}): Promise<EnrolResponse[]> {
    await stage.start({ fewestNodes: 1 });
    stage.vms = new Set([10, 11, 12]);
    const requests = [node({ vmId: 10 }), node({ vmId: 11 }), node({ vmId: 12, ...changed })];
    return await stage.enrolAll(requests);
  }

  const partitions = () => stage.site.nodes().map(({ vmId, partition }) => [vmId, partition]);

  it('move down into what is free, so that the nodes that are left have all of the data', async () => {
    const [, , last] = await three();
    stage.vms = new Set([11, 12]);
    stage.cardinality = 2;
    await pass(2);
    expect(partitions()).toEqual([
      [11, { id: 1, of: 2 }],
      [12, { id: 0, of: 2 }],
    ]);
    const told = await stage.client().state(last?.nodeToken ?? '', running);
    expect(told).toMatchObject({ training: false, partition: { id: 0, of: 2 } });
    await stage.start({ fewestNodes: 1 });
    expect(partitions()).toContainEqual([12, { id: 0, of: 2 }]);
  });

  it('stay as they are until a run that is at work is over', async () => {
    await three();
    stage.vms = new Set([11, 12]);
    stage.cardinality = 2;
    stage.site.setTraining(true);
    await pass(4);
    expect(partitions()).toContainEqual([12, { id: 2, of: 3 }]);
    stage.site.setTraining(false);
    await pass(1);
    expect(partitions()).toContainEqual([12, { id: 0, of: 2 }]);
  });

  it('stay where the operator gave them, and while a node that is lost is to be replaced', async () => {
    await three({ partitionId: 2 });
    stage.vms = new Set([11, 12]);
    await pass(4);
    expect(partitions()).toContainEqual([11, { id: 1, of: 3 }]);
    stage.cardinality = 2;
    await pass(4);
    expect(partitions()).toEqual([
      [11, { id: 1, of: 3 }],
      [12, { id: 2, of: 3 }],
    ]);
  });

  it('are of more when there are to be more nodes, also before those have come', async () => {
    await three();
    stage.cardinality = 5;
    await pass(1);
    expect(partitions()).toContainEqual([10, { id: 0, of: 5 }]);
  });

  it('stay while OneGate does not tell', async () => {
    const [first] = await three();
    stage.vms = undefined;
    await stage.client().leave(first?.nodeToken ?? '');
    await pass(4);
    expect(partitions()).toContainEqual([12, { id: 2, of: 3 }]);
  });
});

describe('a key that was copied with a disk', () => {
  const original = node({ name: 'alpha', vmId: 11 });
  const copy = { ...original, name: 'beta', vmId: 12 };

  it('is refused to the copy in words while the other VM lives, which keeps its token', async () => {
    stage.vms = new Set([11, 12]);
    const { nodeToken } = await stage.client().enrol(original);
    const refused = await stage
      .client()
      .enrol(copy)
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'enrolment_refused', details: { refusal: 'key-in-use' } });
    expect(refused).toMatchObject({
      message: expect.stringContaining('in use by node alpha in VM 11'),
      remedy: expect.stringContaining('delete /opt/flower/certs/node.key'),
    });
    await expect(stage.client().state(nodeToken, running)).resolves.toBeDefined();
  });

  it('is refused also to a VM that OneGate does not know, and by a node that only Flower sees', async () => {
    const { nodeId } = await stage.client().enrol(original);
    stage.book.setOnline([nodeId ?? '']);
    await stage.clock.advance(2 * minute);
    const refused = stage.client().enrol({ ...copy, vmId: null });
    await expect(refused).rejects.toMatchObject({ details: { refusal: 'key-in-use' } });
  });

  it('lets the same VM in again after a reboot, however soon', async () => {
    stage.vms = new Set([11]);
    const first = await stage.client().enrol(original);
    expect((await stage.client().enrol(original)).nodeId).toBe(first.nodeId);
  });

  it('lets in a replacement at once where the old VM is gone, and else when nothing was heard of it', async () => {
    stage.vms = new Set([11]);
    const first = await stage.client().enrol(original);
    stage.vms = new Set([12]);
    const second = await stage.client().enrol(copy);
    expect([second.nodeId, second.partition]).toEqual([first.nodeId, first.partition]);
    stage.vms = undefined;
    await stage.clock.advance(minute);
    await expect(stage.client().enrol({ ...copy, vmId: 13 })).resolves.toMatchObject({ nodeId: first.nodeId });
    expect(stage.site.nodes()).toMatchObject([{ vmId: 13 }]);
  });
});
