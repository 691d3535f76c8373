import { describe, expect, it } from 'vitest';
import { arrayAt } from '../json.ts';
import {
  bench,
  bodyOf,
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

describe('the watchdog', () => {
  it('shows a node that is powered off, and that it is back', async () => {
    const on = bench();
    const id = await launchRunning(on);
    on.cloud.move(2, 8);
    await settle(on);
    expect([stateOf(on, id), roleState(on, id), scale(on, id, 3)]).toEqual(['WARNING', 'WARNING', 500]);
    on.cloud.run(2);
    await settle(on);
    expect([stateOf(on, id), roleState(on, id)]).toEqual(['RUNNING', 'RUNNING']);
  });

  it('takes note of what happened during a cooldown', async () => {
    const on = bench();
    const id = await launchRunning(on);
    scale(on, id, 3);
    on.cloud.run(3);
    await settle(on);
    on.cloud.end(1);
    await on.clock.advance(10_000);
    expect([stateOf(on, id), vmIds(on, id), roleOf(on, id).cardinality]).toEqual(['RUNNING', [2, 3], 2]);
  });
});

describe('undeploying', () => {
  it('takes the children first, then parents, then the document', async () => {
    const on = bench();
    const id = await launchRunning(on);
    on.cloud.slowShutdowns = true;
    expect(on.ask('DELETE', `/service/${id}`).status).toBe(204);
    expect([stateOf(on, id), roleState(on, id), roleState(on, id, 'superlink')]).toEqual([
      'UNDEPLOYING',
      'UNDEPLOYING',
      'RUNNING',
    ]);
    on.cloud.end(1);
    on.cloud.end(2);
    await settle(on);
    expect(roleState(on, id, 'superlink')).toBe('UNDEPLOYING');
    on.cloud.end(0);
    await settle(on);
    expect(on.ask('GET', `/service/${id}`).status).toBe(404);
  });

  it('loses the parents’ VMs on a second delete while it goes', async () => {
    const on = bench();
    const id = await launchRunning(on);
    on.cloud.slowShutdowns = true;
    on.ask('DELETE', `/service/${id}`);
    expect(on.ask('DELETE', `/service/${id}`).status).toBe(204);
    expect(on.ask('GET', `/service/${id}`).status).toBe(404);
    expect(on.cloud.vm(0).lcmState).toBe(3);
  });

  it('stays when shutdowns are refused, until recover', async () => {
    const on = bench();
    const id = await launchRunning(on);
    on.cloud.refuseShutdowns = true;
    on.ask('DELETE', `/service/${id}`);
    await on.clock.advance(60_000);
    expect(stateOf(on, id)).toBe('UNDEPLOYING');
    on.cloud.refuseShutdowns = false;
    on.ask('POST', `/service/${id}/action`, { action: { perform: 'recover' } });
    await settle(on);
    await settle(on);
    expect(on.ask('GET', `/service/${id}`).status).toBe(404);
  });

  it('wipes a service out in any state with recover and delete', async () => {
    const on = bench();
    const id = await launch(on, template());
    on.ask('POST', `/service/${id}/action`, { action: { perform: 'recover', params: { delete: true } } });
    expect(on.ask('GET', `/service/${id}`).status).toBe(404);
    expect(on.cloud.vm(0).state).toBe(6);
  });

  it('removes one role and leaves the rest', async () => {
    const on = bench();
    const id = await launchRunning(on);
    const action = { action: { perform: 'remove_role', params: { role: 'supernode' } } };
    expect(on.ask('POST', `/service/${id}/role_action`, action).status).toBe(204);
    await settle(on);
    expect([stateOf(on, id), arrayAt(bodyOf(on, id), 'roles').length]).toEqual(['RUNNING', 1]);
  });

  it('goes by itself with its last VM when asked to', async () => {
    const on = bench();
    const id = await launchRunning(on, template({ automatic_deletion: true }));
    for (const vmId of [0, 1]) on.cloud.end(vmId);
    await settle(on);
    expect(stateOf(on, id)).toBe('RUNNING');
    on.cloud.end(2);
    await settle(on);
    expect(on.ask('GET', `/service/${id}`).status).toBe(404);
  });
});

describe('actions on all VMs of a role', () => {
  it('go to some at a time, with time in between', async () => {
    const on = bench();
    const id = await launchRunning(on, template({}, { cardinality: 4 }));
    const params = { number: 2, period: 30 };
    const path = `/service/${id}/role/supernode/action`;
    expect(on.ask('POST', path, { action: { perform: 'poweroff', params } }).status).toBe(204);
    const off = () => [1, 2, 3, 4].filter(vmId => on.cloud.vm(vmId).state === 8);
    expect(off()).toEqual([1, 2]);
    await on.clock.advance(30_000);
    expect(off()).toEqual([1, 2, 3, 4]);
  });

  it('are done in the name of a new owner after chown', async () => {
    const on = bench();
    const id = await launchRunning(on);
    const action = { perform: 'chown', params: { owner_id: 2 } };
    expect(on.ask('POST', `/service/${id}/action`, { action }).status).toBe(204);
    on.ask('POST', `/service/${id}/scale`, { role_name: 'supernode', cardinality: 3, force: false });
    // Who may not use the VM template gets no VM of it.
    expect(bodyOf(on, id)).toMatchObject({ state: 9 });
  });
});
