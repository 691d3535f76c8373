import { describe, expect, it } from 'vitest';
import { objectAt } from '../json.ts';
import { createDummyBench } from '../testing/bench.ts';

/** Deploys, grows, shrinks and deletes a service of `size` VMs and counts the calls that oned got. */
async function callsFor(size: number): Promise<{ calls: number; writes: number }> {
  const on = await createDummyBench({ delayMs: 50 });
  const parent = { name: 'superlink', type: 'vm', template_id: 2, cardinality: 1 };
  const child = { ...parent, name: 'supernode', cardinality: size / 2, parents: ['superlink'], cooldown: 1 };
  on.ask('POST', '/service_template', { name: 'x', deployment: 'straight', roles: [parent, child] });
  on.ask('POST', '/service_template/0/action', { action: { perform: 'instantiate' } });
  await on.clock.advance(3000);
  for (const cardinality of [size, size / 2]) {
    on.ask('POST', '/service/1/scale', { role_name: 'supernode', cardinality, force: false });
    await on.clock.advance(5000);
  }
  const document = objectAt(on.ask('GET', '/service/1').json(), 'DOCUMENT');
  const body = objectAt(objectAt(document, 'TEMPLATE'), 'BODY');
  expect(body).toMatchObject({ state: 2, roles: [{ cardinality: 1 }, { cardinality: size / 2 }] });
  on.ask('DELETE', '/service/1');
  await on.clock.advance(5000);
  expect(on.ask('GET', '/service/1').status).toBe(404);
  expect(on.faults).toEqual([]);
  const calls = [...on.cloud.counts.values()].reduce((sum, count) => sum + count, 0);
  await on.close();
  return { calls, writes: on.cloud.counts.get('one.document.update') ?? 0 };
}

describe('a large service', { timeout: 60_000 }, () => {
  it('costs calls in proportion to its VMs, and writes its document as often as a small one', async () => {
    const small = await callsFor(20);
    const large = await callsFor(400);
    const perVm = (large.calls - small.calls) / 380;
    expect(perVm).toBeLessThan(4);
    expect(large.writes).toBeLessThanOrEqual(small.writes + 2);
  });

  it('does not write its document when guests publish', async () => {
    const on = await createDummyBench({ delayMs: 50 });
    const role = { name: 'a', type: 'vm', template_id: 2, cardinality: 3 };
    on.ask('POST', '/service_template', { name: 'x', roles: [role] });
    on.ask('POST', '/service_template/0/action', { action: { perform: 'instantiate' } });
    await on.clock.advance(3000);
    const before = on.cloud.counts.get('one.document.update');
    for (const vmId of [0, 1, 2]) on.cloud.update(vmId, 'FL_ROUND_NUMBER=3');
    await on.clock.advance(120_000);
    expect(on.cloud.counts.get('one.document.update')).toBe(before);
    await on.close();
  });
});
