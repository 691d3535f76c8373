import { SERVICE_STATES } from '@oneflower/opennebula';
import { describe, expect, it } from 'vitest';
import { numberAt } from '../json.ts';
import { admin, type Bench, sessionText } from '../testing/bench.ts';
import {
  bench,
  launch,
  launchRunning,
  roleOf,
  roleState,
  scale,
  settle,
  stateOf,
  template,
  vmIds,
} from '../testing/service.ts';
import { readDocument } from '../wire.ts';

/** The state that the document holds, asked of oned and not of OneFlow. */
function writtenState(on: Bench, id: number): string {
  const answer = on.core.call(sessionText(admin), 'one.document.info', id);
  const { BODY } = readDocument(answer.ok ? String(answer.value) : '').TEMPLATE;
  return SERVICE_STATES[numberAt(BODY, 'state') ?? -1] ?? '';
}

/** Room again; the faults were told, and that is all they may do. */
function makeRoom(on: Bench): void {
  on.cloud.full = false;
  expect(String(on.faults.splice(0)[0])).toContain('disk is full');
}

describe('no space left while writing state', () => {
  it('writes what has happened once there is room', async () => {
    const on = bench();
    const id = await launch(on, template());
    on.cloud.runAll();
    await settle(on);
    on.cloud.full = true;
    on.cloud.runAll();
    await settle(on);
    expect(writtenState(on, id)).toBe('DEPLOYING');
    await on.clock.advance(60_000);
    makeRoom(on);
    await on.clock.advance(10_000);
    expect(writtenState(on, id)).toBe('RUNNING');
  });

  it('refuses a scaling and has changed nothing', async () => {
    const on = bench();
    const id = await launchRunning(on);
    on.cloud.full = true;
    expect(scale(on, id, 3)).toBe(500);
    await on.clock.advance(1_200_000);
    makeRoom(on);
    expect([stateOf(on, id), roleState(on, id), roleOf(on, id).cardinality]).toEqual(['RUNNING', 'RUNNING', 2]);
    expect(scale(on, id, 3)).toBe(204);
    on.cloud.runAll();
    await settle(on);
    expect([stateOf(on, id), vmIds(on, id).length]).toEqual(['COOLDOWN', 3]);
  });

  it('refuses a deletion and has changed nothing', async () => {
    const on = bench();
    const id = await launchRunning(on);
    on.cloud.full = true;
    expect(on.ask('DELETE', `/service/${id}`).status).toBe(500);
    await on.clock.advance(60_000);
    makeRoom(on);
    expect([stateOf(on, id), roleState(on, id)]).toEqual(['RUNNING', 'RUNNING']);
    expect(on.ask('DELETE', `/service/${id}`).status).toBe(204);
    await settle(on);
    await settle(on);
    expect(on.ask('GET', `/service/${id}`).status).toBe(404);
    expect([...on.cloud.vms.values()].map(vm => vm.state)).toEqual([6, 6, 6]);
  });

  it('removes a service that goes with its VMs once there is room', async () => {
    const on = bench();
    const id = await launchRunning(on, template({ automatic_deletion: true }));
    on.cloud.full = true;
    for (const vm of [0, 1, 2]) on.cloud.end(vm);
    await on.clock.advance(60_000);
    makeRoom(on);
    await on.clock.advance(10_000);
    expect(on.ask('GET', `/service/${id}`).status).toBe(404);
  });

  it('refuses the removal of a role and has changed nothing', async () => {
    const on = bench();
    const id = await launchRunning(on);
    on.cloud.full = true;
    const request = { action: { perform: 'remove_role', params: { role: 'supernode' } } };
    expect(on.ask('POST', `/service/${id}/role_action`, request).status).toBe(500);
    await on.clock.advance(60_000);
    makeRoom(on);
    expect([stateOf(on, id), roleState(on, id), roleOf(on, id).removing]).toEqual(['RUNNING', 'RUNNING', undefined]);
  });
});
