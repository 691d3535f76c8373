import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { EmbeddedCloud, ownApp, type ServiceView } from '../support/embedded-cloud.ts';

const deployments = 6;
const names = Array.from({ length: deployments }, (_, index) => `service-${index + 1}`);

describe(`${deployments} deployments on one embedded cloud`, () => {
  const cloud = new EmbeddedCloud();
  afterEach(context => cloud.explain(context));
  afterAll(() => cloud.remove());

  it('do not meet: each has addresses, state and nodes of its own, and trains', { timeout: 600_000 }, async () => {
    await cloud.document('cloud', 'start');
    await Promise.all(names.map(name => cloud.document('deploy', name, '--nodes', '1')));
    const services: ServiceView[] = [];
    for (const name of names) services.push(await cloud.status(name));
    const addresses = services.flatMap(({ vms }) => vms.map(({ ip }) => ip));
    expect(new Set(addresses).size).toBe(2 * deployments);
    // Each SuperLink lists its own node and no other, and that leases the only partition.
    for (const { vms, flower } of services) {
      const node = vms.find(({ role }) => role === 'supernode');
      expect(flower?.nodes).toMatchObject([{ vmId: node?.id, nodeId: node?.nodeId, online: true }]);
      expect(node).toMatchObject({ ready: true, partitionId: 0 });
    }
    expect(new Set(services.map(({ flower }) => flower?.nodes[0]?.nodeId)).size).toBe(deployments);
    // All run their own app at once: what one SuperLink knows, the others do not.
    const ended = await Promise.all(
      names.map(name => cloud.document('run', 'submit', name, ownApp, '-c', 'nodes=1', '--wait')),
    );
    for (const { run } of ended) expect(run).toMatchObject({ status: 'completed' });
    for (const name of names) {
      const { runs } = await cloud.document('run', 'list', name);
      expect(runs).toHaveLength(1);
      expect((await cloud.run('run', 'logs', name)).stdout).toContain('round 1: partitions [0]');
    }
  });
});
