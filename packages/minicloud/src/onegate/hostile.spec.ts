import { FakeClock } from '@oneflower/contract';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDummyDriver } from '../drivers/dummy.ts';
import { createOned, type EmbeddedOned } from '../oned/index.ts';
import { requote } from './escaper.ts';
import { answer } from './handlers.ts';
import type { GateFlow } from './service.ts';
import { makeToken } from './token.ts';

const flow: GateFlow = { service: async () => undefined, scale: async () => false };
let oned: EmbeddedOned;
let token: string;

beforeAll(() => {
  const admin = { name: 'oneadmin', password: 'x' };
  oned = createOned({ file: ':memory:', clock: new FakeClock(), driver: createDummyDriver(), admin });
  oned.call('oneadmin:x', 'one.vm.allocate', 'CPU="1"\nMEMORY="64"\nCONTEXT=[TOKEN="YES"]', true);
  const secret = oned.gateSecret(0);
  token = secret ? makeToken({ vmId: 0, ...secret }) : '';
});

afterAll(() => oned.close());

const bytes = fc.uint8Array({ maxLength: 200 }).map(array => Buffer.from(array));
const template = fc
  .array(
    fc.constantFrom('A', '=', '"', '\\', '\n', ',', '[', ']', ' ', 'data=', '%', '&', '<', '>', '<![CDATA[', 'ü', '🙂'),
  )
  .map(parts => Buffer.from(parts.join('')));
const types = fc.constantFrom(
  undefined,
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=b',
  'text/x',
);

test('no body brings OneGate down, and none gets a status that the real server never gave', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(bytes, template),
      types,
      fc.constantFrom('', 'type=2', 'type=x', '%zz'),
      async (body, type, query) => {
        const headers = { 'x-onegate-token': token, 'x-onegate-vmid': '0', 'content-type': type };
        const reply = await answer({ oned, flow }, { method: 'PUT', path: '/vm', query, headers, body });
        expect([200, 400, 403, 500]).toContain(reply.status);
      },
    ),
    { numRuns: 500 },
  );
});

test('no reference to a character that XML forbids gets into a VM', async () => {
  for (const reference of ['&#0;', '&#xD800;', '&#x1F600;']) {
    const headers = { 'x-onegate-token': token, 'x-onegate-vmid': '0' };
    const body = Buffer.from(`<T><A>a${reference}b</A></T>`);
    expect((await answer({ oned, flow }, { method: 'PUT', path: '/vm', query: '', headers, body })).status).toBe(500);
  }
  expect(oned.call('oneadmin:x', 'one.vmpool.infoextended', -2, -1, -1, -1)).toMatchObject({ ok: true });
  expect(JSON.stringify(oned.call('oneadmin:x', 'one.vm.info', 0))).not.toContain('<A>');
});

test('no path, header or verb brings it down', async () => {
  const text = fc.string({ unit: 'binary', maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('GET', 'PUT', 'POST'), text, text, text, async (method, path, id, given) => {
      const headers = { 'x-onegate-token': given, 'x-onegate-vmid': id, host: 'h' };
      const request = { method, path: `/${path}`, query: path, headers, body: Buffer.from(path) };
      expect([400, 401]).toContain((await answer({ oned, flow }, request)).status);
      const known = { ...request, path: `/vms/${encodeURIComponent(path.toWellFormed())}/action` };
      expect([400, 401]).toContain((await answer({ oned, flow }, known)).status);
    }),
    { numRuns: 300 },
  );
});

test('re-quoting a body of the largest size ends', () => {
  // Work that grew with the square of the length would take hours here.
  const text = 'A=some value,with[everything]\\in it\n'.repeat(270_000);
  expect(requote(text).length).toBeGreaterThan(text.length);
});
