import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { FakeClock } from '@oneflower/contract';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createDummyDriver } from '../../drivers/dummy.ts';
import { createOned, type EmbeddedOned } from '../../oned/index.ts';
import { createOneFlow } from '../index.ts';
import { admin, sessionText } from '../testing/bench.ts';

const session = sessionText(admin);
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'unreadable-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(clock: FakeClock): EmbeddedOned {
  return createOned({ file: join(folder, 'oned.db'), clock, driver: createDummyDriver(), admin });
}

/** Three services at rest; what the one in the middle holds was written by a oned that still took it. */
function makeServices(clock: FakeClock): void {
  const oned = open(clock);
  for (const name of ['a', 'b', 'c']) {
    const body = JSON.stringify({ name, state: 7, roles: [] });
    oned.call(session, 'one.document.allocate', `<T><NAME>${name}</NAME><BODY><![CDATA[${body}]]></BODY></T>`, 100);
  }
  oned.close();
  const file = new DatabaseSync(join(folder, 'oned.db'));
  file.prepare('UPDATE document SET body = json_set(body, ?, ?) WHERE id = 1').run('$.name', '\u{1F600}');
  file.close();
}

it('passes over a service that cannot be read, says so, and serves the others', async () => {
  const clock = new FakeClock();
  makeServices(clock);
  const oned = open(clock);
  const faults: unknown[] = [];
  const flow = createOneFlow({
    oned,
    clock,
    sessionOf: id => oned.sessionOf(id) ?? '',
    onFault: error => faults.push(error),
  });
  flow.resume();
  expect(faults.map(String)).toEqual([expect.stringMatching(/Service 1 .*Basic Multilingual Plane/)]);
  const authorization = `Basic ${Buffer.from(session).toString('base64')}`;
  const answer = flow.handle({ method: 'GET', path: '/service', headers: { authorization }, body: '' });
  expect(answer.status).toBe(200);
  const listed = JSON.parse(answer.body) as { DOCUMENT_POOL: { DOCUMENT: { ID: string }[] } };
  expect(listed.DOCUMENT_POOL.DOCUMENT.map(({ ID }) => ID)).toEqual(['2', '0']);
  await flow.close();
  oned.close();
});
