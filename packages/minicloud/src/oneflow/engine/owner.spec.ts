import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { arrayAt, isObject, type JsonObject, objectAt } from '../json.ts';
import { type Answer, admin, type Bench, createDummyBench, sessionText, tester } from '../testing/bench.ts';
import type { DummyCloud } from '../testing/dummy-cloud.ts';
import { readXml } from '../wire.ts';

const TESTER = '2';
let on: Bench<DummyCloud>;

beforeEach(async () => {
  on = await createDummyBench();
});

afterEach(() => on.close());

/** A running service with one role of two VMs, made by a user. */
async function launch(user: typeof admin): Promise<string> {
  for (const template of [0, 1, 2, 3]) core('one.template.chmod', template, -1, -1, -1, -1, -1, -1, 1, -1, -1);
  const body = { name: 'flower', roles: [{ name: 'node', type: 'vm', template_id: 2, cardinality: 2 }] };
  const registered = objectAt(on.ask('POST', '/service_template', body, user).json(), 'DOCUMENT');
  const action = { action: { perform: 'instantiate' } };
  const made = on.ask('POST', `/service_template/${registered.ID}/action`, action, user);
  await on.clock.advance(5000);
  return String(objectAt(made.json(), 'DOCUMENT').ID);
}

function core(method: string, ...args: (string | number | boolean)[]): string {
  const answer = on.core.call(sessionText(admin), method, ...args);
  if (!answer.ok) throw new Error(answer.message);
  return String(answer.value);
}

function give(id: string, perform: string, params: JsonObject, user = admin): Answer {
  return on.ask('POST', `/service/${id}/action`, { action: { perform, params } }, user);
}

function ownersOfVms(): string[] {
  return [0, 1].map(id => {
    const vm = readXml(core('one.vm.info', id));
    return `${vm.UID}:${vm.GID}`;
  });
}

describe('a service that is given away', () => {
  it('takes its VMs along, and the new owner can delete it', async () => {
    const id = await launch(admin);
    expect(give(id, 'chown', { owner_id: Number(TESTER), group_id: 1 }).status).toBe(204);
    expect(ownersOfVms()).toEqual(['2:1', '2:1']);
    const body = objectAt(objectAt(objectAt(on.ask('GET', `/service/${id}`).json(), 'DOCUMENT'), 'TEMPLATE'), 'BODY');
    const [role] = arrayAt(body, 'roles').filter(isObject);
    const [node] = arrayAt(role ?? {}, 'nodes').filter(isObject);
    expect(objectAt(objectAt(node ?? {}, 'vm_info'), 'VM')).toMatchObject({ UID: TESTER, UNAME: tester.name });
    expect(on.ask('DELETE', `/service/${id}`, '', tester).status).toBe(204);
    await on.clock.advance(5000);
    expect(on.ask('GET', `/service/${id}`).status).toBe(404);
    expect(on.faults).toEqual([]);
  });

  it('stays with its owner when one VM cannot be given', async () => {
    const id = await launch(tester);
    core('one.vm.chown', 1, 0, 0);
    const answer = give(id, 'chgrp', { group_id: 0 }, tester);
    expect(answer.status).toBe(500);
    expect(answer.body).toContain('VM [1]');
    expect(ownersOfVms()).toEqual(['2:1', '0:0']);
    expect(objectAt(on.ask('GET', `/service/${id}`).json(), 'DOCUMENT')).toMatchObject({ UID: TESTER, GID: '1' });
  });
});
