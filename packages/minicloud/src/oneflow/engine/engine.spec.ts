import { afterEach, describe, expect, it } from 'vitest';
import { arrayAt, isObject, type JsonObject, objectAt } from '../json.ts';
import { type Bench, createBench } from '../testing/bench.ts';
import { roleStates, serviceStates } from './states.ts';

const benches: Bench[] = [];

function bench(options?: Parameters<typeof createBench>[0]): Bench {
  const made = createBench(options);
  benches.push(made);
  return made;
}

afterEach(async () => {
  for (const made of benches.splice(0)) {
    expect(made.faults).toEqual([]);
    await made.close();
  }
});

/** A service of the usual shape: one parent, two children. */
function template(over: JsonObject = {}, child: JsonObject = {}): JsonObject {
  return {
    name: 'flower',
    deployment: 'straight',
    roles: [
      { name: 'superlink', type: 'vm', template_id: 2, cardinality: 1 },
      {
        name: 'supernode',
        type: 'vm',
        template_id: 3,
        cardinality: 2,
        parents: ['superlink'],
        min_vms: 1,
        max_vms: 4,
        cooldown: 10,
        ...child,
      },
    ],
    ...over,
  };
}

async function launch(on: Bench, body: JsonObject, merge: JsonObject = {}): Promise<number> {
  const registered = on.ask('POST', '/service_template', body);
  expect(registered.status).toBe(201);
  const id = String(objectAt(registered.json(), 'DOCUMENT').ID);
  const action = { action: { perform: 'instantiate', params: { merge_template: merge } } };
  const made = on.ask('POST', `/service_template/${id}/action`, action);
  expect(made.body).toContain('"state": 0');
  await on.clock.advance(100);
  return Number(objectAt(made.json(), 'DOCUMENT').ID);
}

function bodyOf(on: Bench, id: number): JsonObject {
  const document = objectAt(on.ask('GET', `/service/${id}`).json(), 'DOCUMENT');
  return objectAt(objectAt(document, 'TEMPLATE'), 'BODY');
}

function stateOf(on: Bench, id: number): string {
  return serviceStates[Number(bodyOf(on, id).state)] ?? '';
}

function roleOf(on: Bench, id: number, name = 'supernode'): JsonObject {
  const found = arrayAt(bodyOf(on, id), 'roles').find(role => isObject(role) && role.name === name);
  return isObject(found) ? found : {};
}

function roleState(on: Bench, id: number, name?: string): string {
  return roleStates[Number(roleOf(on, id, name).state)] ?? '';
}

function vmIds(on: Bench, id: number, name?: string): number[] {
  return arrayAt(roleOf(on, id, name), 'nodes').map(node => (isObject(node) ? Number(node.deploy_id) : -1));
}

async function settle(on: Bench): Promise<void> {
  await on.clock.advance(0);
}

async function launchRunning(on: Bench, body = template()): Promise<number> {
  const id = await launch(on, body);
  on.cloud.runAll();
  await settle(on);
  on.cloud.runAll();
  await settle(on);
  expect(stateOf(on, id)).toBe('RUNNING');
  return id;
}

function scale(on: Bench, id: number, cardinality: number): number {
  return on.ask('POST', `/service/${id}/scale`, { role_name: 'supernode', cardinality, force: false }).status;
}

describe('deploying', () => {
  it('makes the children only when the parent runs', async () => {
    const on = bench();
    const id = await launch(on, template());
    expect(stateOf(on, id)).toBe('DEPLOYING');
    expect([vmIds(on, id, 'superlink'), vmIds(on, id)]).toEqual([[0], []]);
    on.cloud.run(0);
    await settle(on);
    expect(vmIds(on, id)).toEqual([1, 2]);
    on.cloud.run(1);
    await settle(on);
    expect(stateOf(on, id)).toBe('DEPLOYING');
    on.cloud.run(2);
    await settle(on);
    expect(stateOf(on, id)).toBe('RUNNING');
  });

  it('makes all roles at once without straight', async () => {
    const on = bench();
    const id = await launch(on, template({ deployment: 'none' }));
    expect([vmIds(on, id, 'superlink'), vmIds(on, id)]).toEqual([[0], [1, 2]]);
  });

  it.each([
    ['READY=YES', 0],
    ['FL_READY=YES', 0],
    ['NOT_READY="YES"', 0],
    ['READY=YESSIR', 0],
    ['X=1\nREADY = YES\nY=2', 0],
    ['ready=YES', 30_000],
    ['<TEMPLATE><READY>YES</READY></TEMPLATE>', 30_000],
    ['READY=yes', Number.POSITIVE_INFINITY],
    ['READY=true', Number.POSITIVE_INFINITY],
  ])('opens the readiness gate for %j after %d ms', async (text, delay) => {
    const on = bench();
    const id = await launch(on, template({ ready_status_gate: true }));
    on.cloud.run(0);
    on.cloud.update(0, text);
    await settle(on);
    expect(vmIds(on, id).length).toBe(delay === 0 ? 2 : 0);
    await on.clock.advance(30_000);
    expect(vmIds(on, id).length).toBe(delay <= 30_000 ? 2 : 0);
  });

  it('notices a failed boot at the re-check and goes on after recover', async () => {
    const on = bench({ bootMs: 1000 });
    on.cloud.failBoots = true;
    const id = await launch(on, template());
    await on.clock.advance(20_000);
    expect(stateOf(on, id)).toBe('DEPLOYING');
    await on.clock.advance(11_000);
    expect(stateOf(on, id)).toBe('FAILED_DEPLOYING');
    expect(on.ask('DELETE', `/service/${id}`).status).toBe(500);
    on.cloud.failBoots = false;
    expect(on.ask('POST', `/service/${id}/action`, { action: { perform: 'recover' } }).status).toBe(204);
    expect(stateOf(on, id)).toBe('FAILED_DEPLOYING');
    await on.clock.advance(3000);
    expect(stateOf(on, id)).toBe('RUNNING');
  });

  it('counts a VM that somebody stopped as ready', async () => {
    const on = bench();
    const id = await launch(on, template({ ready_status_gate: true }));
    on.cloud.move(0, 5);
    await on.clock.advance(30_000);
    expect(vmIds(on, id)).toEqual([1, 2]);
  });

  it('resolves references to the parent and blanks all others', async () => {
    const contents = {
      ADDRESS: '${superlink.user_template.fl_endpoint}',
      OTHER: 'a${HOME}b${nosuch.id}c',
      CONTEXT: { IP: '${superlink.template.nic.ip}', TOKEN: 'YES' },
    };
    const on = bench();
    await launch(on, template({}, { template_contents: contents }));
    on.cloud.update(0, 'FL_ENDPOINT="10.20.0.77:9092"');
    on.cloud.run(0);
    await settle(on);
    const { extra } = on.cloud.vm(1);
    expect(extra).toContain('ADDRESS = "10.20.0.77:9092"');
    expect(extra).toContain('OTHER = "abc"');
    expect(extra).toContain('CONTEXT = [ IP = "10.20.0.0", TOKEN = "YES" ]');
    expect(extra).toContain('SERVICE_ID = ');
    expect(extra).toContain('ROLE_NAME = "supernode"');
  });

  it('lets the value of a role beat that of the service', async () => {
    const body = template({ user_inputs: { A: 'O|text|x', B: 'O|text|x' } }, { user_inputs: { A: 'O|text|x' } });
    const on = bench();
    const roles = [{ name: 'supernode', user_inputs_values: { A: '3' } }];
    const id = await launch(on, body, { user_inputs_values: { A: '1', B: '2' }, roles });
    expect(objectAt(roleOf(on, id, 'superlink'), 'template_contents')).toEqual({
      CONTEXT: { A: '$A', B: '$B' },
      A: '1',
      B: '2',
    });
    expect(objectAt(roleOf(on, id), 'template_contents')).toMatchObject({ A: '3', B: '2' });
  });

  it('refuses to instantiate with an input that has no value, default or not', () => {
    const on = bench();
    const made = on.ask('POST', '/service_template', template({}, { user_inputs: { A: 'O|text|x||default' } }));
    const path = `/service_template/${objectAt(made.json(), 'DOCUMENT').ID}/action`;
    expect(on.ask('POST', path, { action: { perform: 'instantiate' } }).status).toBe(400);
  });
});

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
});

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
});

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
    on.core.call('oneadmin:throwaway-admin-1', 'one.user.info', -1);
    on.cloud.call(
      'oneadmin:throwaway-admin-1',
      'one.template.instantiate',
      3,
      `supernode_0_(service_${id})`,
      false,
      '',
      false,
    );
    on.kill();
    on.start();
    await settle(on);
    expect(vmIds(on, id)).toEqual([1, 2]);
    on.cloud.runAll();
    await settle(on);
    expect(stateOf(on, id)).toBe('RUNNING');
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
