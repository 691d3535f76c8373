import { describe, expect, it } from 'vitest';
import { arrayAt } from '../json.ts';
import { admin, type Bench, sessionText, tester } from '../testing/bench.ts';
import { bench, bodyOf, launch, launchRunning, scale, settle, stateOf, template, vmIds } from '../testing/service.ts';

/** Somebody makes a VM with the name that the service's next one gets. */
function makeVm(on: Bench, service: number, user: typeof admin, extra: string): void {
  const name = `supernode_0_(service_${service})`;
  const answer = on.cloud.call(sessionText(user), 'one.template.instantiate', 3, name, false, extra, false);
  expect(answer.ok).toBe(true);
}

describe('a restart', () => {
  it('sees READY that was written meanwhile', async () => {
    const on = bench();
    const id = await launch(on, template({ ready_status_gate: true }));
    on.cloud.run(0);
    on.kill();
    on.start();
    await settle(on);
    expect(vmIds(on, id)).toEqual([]);
    on.cloud.vm(0).attributes.set('READY', 'YES');
    on.kill();
    on.start();
    await settle(on);
    expect(vmIds(on, id)).toEqual([1, 2]);
  });

  it('adopts VMs that were made and not yet written down', async () => {
    const on = bench();
    const id = await launch(on, template());
    on.cloud.run(0);
    makeVm(on, id, admin, `SERVICE_ID = "${id}"\nROLE_NAME = "supernode"`);
    on.kill();
    on.start();
    await settle(on);
    expect(vmIds(on, id)).toEqual([1, 2]);
    on.cloud.runAll();
    await settle(on);
    expect(stateOf(on, id)).toBe('RUNNING');
  });

  it.each([
    ['another user', tester, 'supernode', 0],
    ['another role', admin, 'superlink', 0],
    ['another service', admin, 'supernode', 1],
  ])('adopts no VM of %s, whatever its name', async (_whose, user, role, offset) => {
    const on = bench();
    on.core.call(sessionText(admin), 'one.template.chmod', 3, -1, -1, -1, -1, -1, -1, 1, -1, -1);
    const id = await launch(on, template());
    on.cloud.run(0);
    makeVm(on, id, user, `SERVICE_ID = "${id + offset}"\nROLE_NAME = "${role}"`);
    on.kill();
    on.start();
    await settle(on);
    expect(vmIds(on, id)).toEqual([2, 3]);
  });

  it('waits for what is left of a cooldown', async () => {
    const on = bench();
    const id = await launchRunning(on);
    scale(on, id, 3);
    on.cloud.run(3);
    await settle(on);
    await on.clock.advance(6000);
    on.kill();
    on.start();
    await on.clock.advance(3000);
    expect(stateOf(on, id)).toBe('COOLDOWN');
    await on.clock.advance(1500);
    expect(stateOf(on, id)).toBe('RUNNING');
  });

  it.each([2, 3, 4])('goes on with a scaling to %d', async target => {
    const on = bench();
    const id = await launchRunning(on, template({}, { cardinality: 1 }));
    scale(on, id, target);
    on.kill();
    on.start();
    await settle(on);
    expect(stateOf(on, id)).toBe('SCALING');
    on.cloud.runAll();
    await settle(on);
    expect([stateOf(on, id), vmIds(on, id).length]).toEqual(['COOLDOWN', target]);
  });

  it('goes on with a deletion', async () => {
    const on = bench();
    const id = await launchRunning(on);
    on.cloud.slowShutdowns = true;
    on.ask('DELETE', `/service/${id}`);
    on.cloud.slowShutdowns = false;
    on.kill();
    on.start();
    await settle(on);
    await settle(on);
    expect(on.ask('GET', `/service/${id}`).status).toBe(404);
  });

  it('does not take the removal of a role for the end of the service', async () => {
    const on = bench();
    const id = await launchRunning(on);
    on.cloud.slowShutdowns = true;
    on.ask('POST', `/service/${id}/role_action`, { action: { perform: 'remove_role', params: { role: 'supernode' } } });
    on.kill();
    on.start();
    on.cloud.end(1);
    on.cloud.end(2);
    await settle(on);
    expect([stateOf(on, id), arrayAt(bodyOf(on, id), 'roles').length]).toEqual(['RUNNING', 1]);
  });

  it('sees VMs that ended meanwhile', async () => {
    const on = bench();
    const id = await launchRunning(on);
    on.cloud.vm(1).state = 6;
    on.kill();
    on.start();
    await settle(on);
    expect([stateOf(on, id), vmIds(on, id)]).toEqual(['RUNNING', [2]]);
  });
});
