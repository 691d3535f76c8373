import { describe, expect, it } from 'vitest';
import { arrayAt } from '../json.ts';
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

describe('scaling', () => {
  it('names new VMs on and removes the oldest', async () => {
    const on = bench();
    const id = await launchRunning(on);
    expect(scale(on, id, 3)).toBe(204);
    expect(on.cloud.vm(3).name).toBe(`supernode_2_(service_${id})`);
    expect([stateOf(on, id), scale(on, id, 4)]).toEqual(['SCALING', 500]);
    on.cloud.run(3);
    await settle(on);
    expect([stateOf(on, id), scale(on, id, 4)]).toEqual(['COOLDOWN', 500]);
    await on.clock.advance(10_000);
    expect(stateOf(on, id)).toBe('RUNNING');
    expect(scale(on, id, 1)).toBe(204);
    await settle(on);
    expect(vmIds(on, id)).toEqual([3]);
    await on.clock.advance(10_000);
    scale(on, id, 2);
    expect(on.cloud.vm(4).name).toBe(`supernode_3_(service_${id})`);
  });

  it('refuses what is outside the limits unless forced', async () => {
    const on = bench();
    const id = await launchRunning(on);
    expect([scale(on, id, 5), scale(on, id, 0), scale(on, id, 2)]).toEqual([500, 500, 500]);
    const forced = { role_name: 'supernode', cardinality: 5, force: true };
    expect(on.ask('POST', `/service/${id}/scale`, forced).status).toBe(204);
  });

  it.each([
    ['"true"', 204],
    ['1', 204],
    ['false', 500],
    ['"false"', 500],
    ['"perhaps"', 500],
    ['null', 500],
  ])('reads force %s as the real server does', async (force, status) => {
    const on = bench();
    const id = await launchRunning(on);
    const body = `{"role_name": "supernode", "cardinality": 7, "force": ${force}}`;
    expect(on.ask('POST', `/service/${id}/scale`, body).status).toBe(status);
  });

  it('follows a policy after enough true rounds, and its cooldown replaces the role’s', async () => {
    const policy = { type: 'CHANGE', adjust: 1, expression: 'FL_LOAD > 80', period_number: 2, period: 5, cooldown: 15 };
    const on = bench();
    const id = await launchRunning(on, template({}, { elasticity_policies: [policy] }));
    on.cloud.update(1, 'FL_LOAD=100');
    on.cloud.update(2, 'FL_LOAD=90');
    await on.clock.advance(90_000);
    const evaluated = arrayAt(roleOf(on, id), 'elasticity_policies')[0];
    expect(evaluated).toMatchObject({ true_evals: 1, expression_evaluated: 'FL_LOAD[95.0] > 80' });
    expect(vmIds(on, id)).toHaveLength(2);
    await on.clock.advance(90_000);
    expect(vmIds(on, id)).toHaveLength(3);
    expect(roleOf(on, id).cooldown).toBe(15);
    expect(arrayAt(roleOf(on, id), 'elasticity_policies')[0]).not.toHaveProperty('true_evals');
  });

  it('does nothing when a policy asks for what the limits forbid', async () => {
    const policy = { type: 'CARDINALITY', adjust: 1, expression: 'FL_LOAD > 80' };
    const on = bench();
    const id = await launchRunning(on, template({}, { min_vms: 2, elasticity_policies: [policy] }));
    on.cloud.update(1, 'FL_LOAD=100');
    await on.clock.advance(90_000);
    expect([stateOf(on, id), vmIds(on, id)]).toEqual(['RUNNING', [1, 2]]);
  });

  it('changes by percentage, in whole nodes and by its least step', async () => {
    const policy = { type: 'PERCENTAGE_CHANGE', adjust: 10, min_adjust_step: 2, expression: 'FL_LOAD > 80' };
    const on = bench();
    const id = await launchRunning(on, template({}, { elasticity_policies: [policy] }));
    on.cloud.update(1, 'FL_LOAD=100');
    await on.clock.advance(90_000);
    expect(vmIds(on, id)).toHaveLength(4);
  });

  it('refills below min_vms, with no cooldown from then on', async () => {
    const on = bench();
    const id = await launchRunning(on, template({}, { min_vms: 2 }));
    on.cloud.end(1);
    await settle(on);
    expect([roleOf(on, id).cardinality, vmIds(on, id)]).toEqual([1, [2]]);
    await on.clock.advance(90_000);
    on.cloud.runAll();
    await settle(on);
    expect([stateOf(on, id), vmIds(on, id), roleOf(on, id).cooldown]).toEqual(['RUNNING', [2, 3], 0]);
  });

  it('follows the clock of scheduled policies from the second look on', async () => {
    const policies = [{ type: 'CARDINALITY', adjust: 3, recurrence: '* * * * *' }];
    const on = bench();
    const id = await launchRunning(on, template({}, { scheduled_policies: policies }));
    await on.clock.advance(90_000);
    expect(vmIds(on, id)).toHaveLength(2);
    await on.clock.advance(90_000);
    expect(vmIds(on, id)).toHaveLength(3);
  });

  it('fails late when a new VM does not boot, and recovers', async () => {
    const on = bench({ bootMs: 1000 });
    const id = await launch(on, template());
    await on.clock.advance(3000);
    on.cloud.failBoots = true;
    scale(on, id, 3);
    await on.clock.advance(31_000);
    expect([stateOf(on, id), roleState(on, id)]).toEqual(['FAILED_SCALING', 'FAILED_SCALING']);
    on.cloud.failBoots = false;
    on.ask('POST', `/service/${id}/action`, { action: { perform: 'recover' } });
    await on.clock.advance(2000);
    expect([stateOf(on, id), vmIds(on, id).length]).toEqual(['COOLDOWN', 3]);
  });

  it('goes on in a gated service with exactly the VMs that were new', async () => {
    const on = bench();
    const id = await launch(on, template({ ready_status_gate: true }));
    on.cloud.update(0, 'FL_READY=YES');
    await settle(on);
    on.cloud.update(1, 'FL_READY=YES');
    on.cloud.update(2, 'FL_READY=YES');
    on.cloud.runAll();
    await settle(on);
    expect([stateOf(on, id), scale(on, id, 4)]).toEqual(['RUNNING', 204]);
    on.cloud.runAll();
    on.kill();
    on.start();
    on.cloud.update(4, 'READY=YES');
    await settle(on);
    expect(stateOf(on, id)).toBe('SCALING');
    on.cloud.update(3, 'READY=YES');
    await settle(on);
    expect(stateOf(on, id)).toBe('COOLDOWN');
  });
});
