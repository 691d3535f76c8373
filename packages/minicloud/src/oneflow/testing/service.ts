import { ROLE_STATES, SERVICE_STATES } from '@oneflower/opennebula';
import { afterEach, expect } from 'vitest';
import { arrayAt, isObject, type JsonObject, objectAt } from '../json.ts';
import { type Bench, createBench } from './bench.ts';

const benches: Bench[] = [];

/** A bench that is closed after the test; a fault that no caller heard of fails the test. */
export function bench(options?: Parameters<typeof createBench>[0]): Bench {
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
export function template(over: JsonObject = {}, child: JsonObject = {}): JsonObject {
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

export async function launch(on: Bench, body: JsonObject, merge: JsonObject = {}): Promise<number> {
  const registered = on.ask('POST', '/service_template', body);
  expect(registered.status).toBe(201);
  const id = String(objectAt(registered.json(), 'DOCUMENT').ID);
  const action = { action: { perform: 'instantiate', params: { merge_template: merge } } };
  const made = on.ask('POST', `/service_template/${id}/action`, action);
  expect(made.body).toContain('"state": 0');
  await on.clock.advance(100);
  return Number(objectAt(made.json(), 'DOCUMENT').ID);
}

export function bodyOf(on: Bench, id: number): JsonObject {
  const document = objectAt(on.ask('GET', `/service/${id}`).json(), 'DOCUMENT');
  return objectAt(objectAt(document, 'TEMPLATE'), 'BODY');
}

export function stateOf(on: Bench, id: number): string {
  return SERVICE_STATES[Number(bodyOf(on, id).state)] ?? '';
}

export function roleOf(on: Bench, id: number, name = 'supernode'): JsonObject {
  const found = arrayAt(bodyOf(on, id), 'roles').find(role => isObject(role) && role.name === name);
  return isObject(found) ? found : {};
}

export function roleState(on: Bench, id: number, name?: string): string {
  return ROLE_STATES[Number(roleOf(on, id, name).state)] ?? '';
}

export function vmIds(on: Bench, id: number, name?: string): number[] {
  return arrayAt(roleOf(on, id, name), 'nodes').map(node => (isObject(node) ? Number(node.deploy_id) : -1));
}

export async function settle(on: Bench): Promise<void> {
  await on.clock.advance(0);
}

export async function launchRunning(on: Bench, body = template()): Promise<number> {
  const id = await launch(on, body);
  on.cloud.runAll();
  await settle(on);
  on.cloud.runAll();
  await settle(on);
  expect(stateOf(on, id)).toBe('RUNNING');
  return id;
}

export function scale(on: Bench, id: number, cardinality: number): number {
  return on.ask('POST', `/service/${id}/scale`, { role_name: 'supernode', cardinality, force: false }).status;
}
