import { SERVICE_STATES } from '@oneflower/opennebula';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrayAt, isObject, type JsonObject, numberAt } from '../json.ts';
import { type Bench, createBench } from '../testing/bench.ts';
import { bodyOf, launch, template } from '../testing/service.ts';

/** One thing that happens to a service or its VMs. */
type Move = (on: Bench, id: number) => unknown;

const vmId = fc.nat({ max: 9 });

function known(on: Bench, wanted: number, move: (vmId: number) => void): void {
  const vm = on.cloud.vms.get(wanted);
  if (vm && vm.state !== 6) move(wanted);
}

function act(perform: string, params: JsonObject = {}): Move {
  return (on, id) => on.ask('POST', `/service/${id}/action`, { action: { perform, params } });
}

const moves: fc.Arbitrary<[string, Move]> = fc.oneof(
  vmId.map((vm): [string, Move] => [`run ${vm}`, on => known(on, vm, known => on.cloud.run(known))]),
  vmId.map((vm): [string, Move] => [`end ${vm}`, on => known(on, vm, known => on.cloud.end(known))]),
  vmId.map((vm): [string, Move] => [`off ${vm}`, on => known(on, vm, known => on.cloud.move(known, 8))]),
  vmId.map((vm): [string, Move] => [`fail ${vm}`, on => known(on, vm, known => on.cloud.move(known, 3, 36))]),
  vmId.map((vm): [string, Move] => [`ready ${vm}`, on => known(on, vm, known => on.cloud.update(known, 'READY=YES'))]),
  fc
    .tuple(fc.integer({ min: -1, max: 6 }), fc.boolean())
    .map(([cardinality, force]): [string, Move] => [
      `scale ${cardinality} ${force}`,
      (on, id) => on.ask('POST', `/service/${id}/scale`, { role_name: 'supernode', cardinality, force }),
    ]),
  fc.constant<[string, Move]>(['run all', on => on.cloud.runAll()]),
  fc.constant<[string, Move]>(['recover', act('recover')]),
  fc.constant<[string, Move]>(['release', act('release')]),
  fc.constant<[string, Move]>(['poweroff', act('poweroff')]),
  fc.constant<[string, Move]>(['delete', (on, id) => on.ask('DELETE', `/service/${id}`)]),
  fc.constant<[string, Move]>(['slow', on => Object.assign(on.cloud, { slowShutdowns: !on.cloud.slowShutdowns })]),
  fc.constant<[string, Move]>([
    'remove role',
    (on, id) =>
      on.ask('POST', `/service/${id}/role_action`, {
        action: { perform: 'remove_role', params: { role: 'supernode' } },
      }),
  ]),
  fc.constant<[string, Move]>([
    'restart',
    on => {
      on.kill();
      on.start();
    },
  ]),
  fc.constantFrom(10, 1000, 31_000, 90_000).map((ms): [string, Move] => [`wait ${ms}`, on => on.clock.advance(ms)]),
);

/** What must be true of a service at any time. */
function expectSound(on: Bench, id: number): void {
  const answer = on.ask('GET', `/service/${id}`);
  expect([200, 404]).toContain(answer.status);
  if (answer.status === 404) return;
  const body = bodyOf(on, id);
  const state = SERVICE_STATES[numberAt(body, 'state') ?? -1];
  expect(state).toBeDefined();
  for (const role of arrayAt(body, 'roles').filter(isObject)) {
    const nodes = arrayAt(role, 'nodes').filter(isObject);
    const ids = nodes.map(node => numberAt(node, 'deploy_id') ?? -1);
    expect(new Set(ids).size).toBe(ids.length);
    if (state !== 'RUNNING') continue;
    expect([role.name, ids.length]).toEqual([role.name, role.cardinality]);
    expect([2]).toContain(role.state);
  }
}

describe('whatever happens in whatever order', { timeout: 60_000 }, () => {
  it.each([
    ['gated', { ready_status_gate: true }],
    ['plain', {}],
    ['held', { on_hold: true }],
    ['all at once', { deployment: 'none' }],
  ])('a %s service stays sound and can be wiped out', async (_, over) => {
    await fc.assert(
      fc.asyncProperty(fc.array(moves, { maxLength: 30 }), async sequence => {
        const on = createBench({ bootMs: 2000 });
        const id = await launch(on, template(over));
        for (const [, move] of sequence) {
          await move(on, id);
          await on.clock.advance(0);
          expectSound(on, id);
        }
        on.cloud.slowShutdowns = false;
        act('recover', { delete: true })(on, id);
        await on.clock.advance(100);
        expect(on.ask('GET', `/service/${id}`).status).toBe(404);
        expect(on.faults).toEqual([]);
        await on.close();
      }),
      { numRuns: 30 },
    );
  });
});
