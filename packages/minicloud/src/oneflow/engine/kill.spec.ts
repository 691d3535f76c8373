import { describe, expect, it } from 'vitest';
import { type JsonObject, objectAt } from '../json.ts';
import { admin, type Bench, createDummyBench, sessionText } from '../testing/bench.ts';
import type { DummyCloud } from '../testing/dummy-cloud.ts';
import { listOf, readXml } from '../wire.ts';

const parent = { name: 'superlink', type: 'vm', template_id: 2, cardinality: 1 };
const child = { name: 'supernode', type: 'vm', template_id: 3, cardinality: 2, parents: ['superlink'], cooldown: 1 };

/** Time passes; a OneFlow that died is started again, once. */
async function pass(on: Bench<DummyCloud>): Promise<void> {
  for (let step = 0; step < 20; step++) {
    await on.clock.advance(200);
    if (!on.alive()) on.start();
  }
}

function stateOf(on: Bench<DummyCloud>): unknown {
  const answer = on.ask('GET', '/service/1');
  return answer.status === 404 ? 'gone' : bodyOf(answer.json()).state;
}

function bodyOf(answer: JsonObject): JsonObject {
  return objectAt(objectAt(objectAt(answer, 'DOCUMENT'), 'TEMPLATE'), 'BODY');
}

function liveVms(on: Bench<DummyCloud>): number {
  const answer = on.core.call(sessionText(admin), 'one.vmpool.info', -2, -1, -1, -1);
  return listOf(readXml(answer.ok ? String(answer.value) : '').VM).length;
}

/** What a client does whose request may have been cut off: it looks, and asks again if nothing happened. */
async function insist(on: Bench<DummyCloud>, request: () => unknown, happened: () => boolean): Promise<void> {
  request();
  await pass(on);
  if (!happened()) request();
  await pass(on);
  // Where the request took fewer calls than were left, the next look must not be the last.
  if (on.alive()) on.kill(Number.POSITIVE_INFINITY);
}

async function liveThrough(calls: number, phase: 'deploy' | 'scale' | 'delete'): Promise<void> {
  const on = await createDummyBench({ delayMs: 50 });
  const killIn = (now: typeof phase) => now === phase && on.kill(calls);
  const body = { name: 'x', deployment: 'straight', roles: [parent, child] };
  on.ask('POST', '/service_template', body);
  killIn('deploy');
  const launch = () => on.ask('POST', '/service_template/0/action', { action: { perform: 'instantiate' } });
  await insist(on, launch, () => stateOf(on) !== 'gone');
  expect([stateOf(on), liveVms(on)]).toEqual([2, 3]);
  killIn('scale');
  const grow = { role_name: 'supernode', cardinality: 4, force: false };
  await insist(
    on,
    () => on.ask('POST', '/service/1/scale', grow),
    () => liveVms(on) === 5,
  );
  expect([stateOf(on), liveVms(on)]).toEqual([2, 5]);
  killIn('delete');
  await insist(
    on,
    () => on.ask('DELETE', '/service/1'),
    () => stateOf(on) === 'gone',
  );
  expect([stateOf(on), liveVms(on)]).toEqual(['gone', 0]);
  expect(on.faults).toEqual([]);
  await on.close();
}

describe('kill -9 after any call to oned', { timeout: 30_000 }, () => {
  it.each(Array.from({ length: 14 }, (_, index) => index + 1))('number %d of a deployment', calls =>
    liveThrough(calls, 'deploy'),
  );
  it.each(Array.from({ length: 8 }, (_, index) => index + 1))('number %d of a scaling', calls =>
    liveThrough(calls, 'scale'),
  );
  it.each(Array.from({ length: 16 }, (_, index) => index + 1))('number %d of a deletion', calls =>
    liveThrough(calls, 'delete'),
  );
});
