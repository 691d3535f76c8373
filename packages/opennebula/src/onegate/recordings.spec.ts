import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { CloudFailure } from '../failure.ts';
import { type Recording, recordedJson, recording, recordings } from '../testing/recordings.ts';
import { startServer } from '../testing/server.ts';
import { createOnegateClient, encodeAttributes, isPlainValue, type OnegateClient } from './index.ts';

const ONCE = { attempts: 1, firstDelayMs: 0, maxDelayMs: 0 };
type Call = (client: OnegateClient) => Promise<unknown>;

async function replay(item: Recording, call: Call) {
  const server = await startServer(() => ({ status: item.status, body: item.responseBody }));
  const token = `${item.requestHeaders['x-onegate-token'] ?? 'none'}\n`;
  const vmId = Number(item.requestHeaders['x-onegate-vmid'] ?? 0);
  const client = createOnegateClient({ endpoint: server.url, token, vmId, retry: ONCE });
  const outcome = await call(client).then(
    value => ({ value }),
    (error: unknown) => ({ error }),
  );
  await server.close();
  return { outcome, sent: server.seen };
}

const REQUESTS: ['cli' | 'onegate', string, Call][] = [
  ['cli', '063', client => client.vm()],
  ['cli', '065', client => client.publish({ FL_NODE_READY: 'YES' })],
  ['cli', '067', client => client.publish({ FL_MSG2: 'two words' })],
  ['cli', '068', client => client.publish({ FL_CA_CERT: 'LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUI+/w==' })],
  ['cli', '073', client => client.publishTo(34, { FROM: '35' })],
  ['cli', '074', client => client.vmById(34)],
  ['cli', '075', client => client.service()],
  ['cli', '079', client => client.act(34, 'suspend')],
  ['onegate', '115', client => client.service({ extended: true })],
];

describe('requests to OneGate', () => {
  it.each(REQUESTS)('sends %s/%s as it was recorded', async (area, stem, call) => {
    const item = recording(area, stem);
    const { outcome, sent } = await replay(item, call);
    expect(outcome).not.toHaveProperty('error');
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ method: item.method, path: item.path, body: item.requestBody });
    expect(sent[0]?.headers['x-onegate-token']).toBe(item.requestHeaders['x-onegate-token']);
    expect(sent[0]?.headers['x-onegate-vmid']).toBe(item.requestHeaders['x-onegate-vmid']);
    const recordedType = item.requestHeaders['content-type'];
    if (item.method === 'PUT') expect(sent[0]?.headers['content-type']).toBe(recordedType);
  });

  it('scales a role', async () => {
    const item = recording('onegate', '129');
    const { outcome, sent } = await replay(item, client => client.scaleRole('supernode', 3));
    expect(outcome).not.toHaveProperty('error');
    expect(sent[0]).toMatchObject({ method: 'PUT', path: item.path });
    expect(JSON.parse(sent[0]?.body ?? '')).toEqual(JSON.parse(item.requestBody));
  });

  it('publishes all attributes in one request, in their order', async () => {
    const { sent } = await replay(recording('onegate', '019'), client =>
      client.publish({ FL_ENDPOINT: '10.20.0.11:9092', FL_ERROR: '', READY: 'YES' }),
    );
    expect(sent).toHaveLength(1);
    expect(new URLSearchParams(sent[0]?.body).get('data')).toBe('FL_ENDPOINT=10.20.0.11:9092\nFL_ERROR=""\nREADY=YES');
  });

  it('erases what is there, as the stock client does, and passes over the rest', async () => {
    const own = recording('cli', '063').responseBody.replace('"ROLE_NAME"', '"FL_MSG":"x","ROLE_NAME"');
    const server = await startServer(({ method }) => ({ status: 200, body: method === 'GET' ? own : '' }));
    const client = createOnegateClient({ endpoint: server.url, token: 't', vmId: 35 });
    await client.erase(['FL_MSG', 'FL_ABSENT']);
    await server.close();
    const puts = server.seen.filter(request => request.method === 'PUT');
    expect(puts.map(request => request.body)).toEqual([recording('cli', '072').requestBody]);
  });
});

describe('attributes that OneGate would change or refuse', () => {
  const results = z
    .array(z.object({ body: z.string(), status: z.number(), stored: z.array(z.tuple([z.string(), z.unknown()])) }))
    .parse(recordedJson('onegate/put-results.json'));
  const values = results.flatMap(result => {
    const data = result.body.startsWith('data=') ? (new URLSearchParams(result.body).get('data') ?? '') : result.body;
    const [, value] = /^A=([\s\S]*)$/.exec(data) ?? [];
    const percentEncoded = !result.body.startsWith('data=') || result.body.startsWith('data=A%3D');
    const single = result.body.split('data=').length <= 2;
    return value !== undefined && percentEncoded && single ? [{ ...result, value }] : [];
  });

  it('has results to compare with', () => {
    expect(values.length).toBeGreaterThan(60);
    expect(values.filter(({ value }) => isPlainValue(value)).length).toBeGreaterThan(15);
  });

  it.each(values.map(result => [result.value, result] as const))(
    'knows what becomes of %j',
    (value, { status, stored }) => {
      const kept = status === 200 && stored.length === 1 && stored[0]?.[1] === value;
      if (value === '') {
        expect(encodeAttributes({ A: '' })).toBe('data=A%3D%22%22&type=1');
      } else if (isPlainValue(value)) {
        expect(encodeAttributes({ A: value })).toBe(new URLSearchParams({ data: `A=${value}`, type: '1' }).toString());
        expect(kept || status === 400).toBe(true);
      } else {
        expect(() => encodeAttributes({ A: value })).toThrow(
          expect.objectContaining({ code: expect.stringMatching(/^(onegate-value|unsendable-character)$/) }),
        );
      }
    },
  );

  it.each(['SERVICE_ID', 'ROLE_NAME', 'SCHED_REQUIREMENTS', 'a', 'A-B', 'A.B', '1A', ' A', 'A=B', 'A\nB', ''])(
    'refuses the name %j',
    name => {
      expect(() => encodeAttributes({ [name]: 'x' })).toThrow(expect.objectContaining({ code: 'onegate-name' }));
    },
  );

  it('refuses what makes more than 4 MiB', () => {
    expect(() => encodeAttributes({ A: 'x'.repeat(4 * 1024 * 1024) })).toThrow(
      expect.objectContaining({ code: 'onegate-too-large' }),
    );
  });

  it('never repeats a refused value', () => {
    expect(() => encodeAttributes({ FL_TOKEN: 'secret,1' })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('secret') }),
    );
  });
});

describe('answers of OneGate', () => {
  it('reads the own machine', async () => {
    const { outcome } = await replay(recording('onegate', '002'), client => client.vm());
    expect(outcome).toMatchObject({
      value: {
        id: 0,
        name: 'vm-a',
        state: 'ACTIVE',
        lcmState: 'RUNNING',
        userTemplate: { ONEAPP_FL_LOG_LEVEL: 'DEBUG' },
        nics: [{ ip: '10.20.0.10', network: 'fl-private' }],
      },
    });
  });

  it('reads the service, with attributes and addresses only in the extended form', async () => {
    const brief = await replay(recording('onegate', '114'), client => client.service());
    expect(brief.outcome).toMatchObject({
      value: {
        id: 53,
        state: 'DEPLOYING',
        roles: [
          { name: 'superlink', state: 'RUNNING', nodes: [{ id: 4, userTemplate: {}, nics: [] }] },
          { name: 'supernode', state: 'DEPLOYING', cardinality: 2, nodes: [{ id: 5 }, { id: 6 }] },
        ],
      },
    });
    const extended = await replay(recording('onegate', '115'), client => client.service({ extended: true }));
    const superlink = { userTemplate: { FL_ENDPOINT: '10.20.0.11:9092' }, nics: [{ ip: '10.20.0.13' }] };
    expect(extended.outcome).toMatchObject({ value: { roles: [{ nodes: [superlink] }, {}] } });
  });

  it('reads every recorded answer', async () => {
    const all = [...recordings('onegate'), ...recordings('cli')].filter(
      item => item.status === 200 && item.method === 'GET',
    );
    const gates = all.filter(
      item => /^\/(vm|vms\/\d+|service)(\?|$)/.test(item.path) && item.responseBody.startsWith('{"'),
    );
    expect(gates.length).toBeGreaterThan(20);
    for (const item of gates) {
      const { outcome } = await replay(item, client => (item.path.startsWith('/vm') ? client.vm() : client.service()));
      expect(outcome, item.stem).toHaveProperty('value');
    }
  });
});

const vm: Call = client => client.vm();
const REFUSALS: [string, Call, Partial<CloudFailure>][] = [
  ['011', vm, { kind: 'unauthenticated', status: 401, transient: true }],
  ['161', vm, { kind: 'unauthenticated', status: 401, transient: true }],
  ['015', vm, { kind: 'refused', status: 400 }],
  ['006', client => client.service(), { kind: 'refused', status: 400, words: 'Empty or invalid SERVICE_ID' }],
  ['117', client => client.vmById(0), { kind: 'refused', status: 400 }],
  ['130', client => client.scaleRole('supernode', 4), { kind: 'refused', status: 400 }],
  ['157', client => client.service(), { kind: 'not-found', status: 404, transient: true }],
  ['067', client => client.publish({ A: 'b' }), { kind: 'forbidden', status: 403, transient: false }],
  ['036', client => client.publish({ A: 'b' }), { kind: 'crashed', status: 500 }],
];

describe('refusals of OneGate', () => {
  it.each(REFUSALS)('tells the cause of %s', async (stem, call, expected) => {
    const { outcome } = await replay(recording('onegate', stem), call);
    expect(outcome).toMatchObject({ error: { server: 'onegate', ...expected } });
  });

  it.each(['', 'secret\u0007word', 'secret\nword', 'geheimwört'])('sends nothing with %j as token', async token => {
    const client = createOnegateClient({ endpoint: 'http://127.0.0.1:1', token, vmId: 0, retry: ONCE });
    const error = await client.vm().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'onegate-token' });
    expect(JSON.stringify(error) + String(error)).not.toMatch(/secret|geheim/);
  });

  it.each([
    ['no JSON', '<<<'],
    ['half a document', '{"VM":{"NAME":"a"'],
    ['another document', '{"VM":{"NAME":"a"}}'],
    ['endless depth', `{"VM":{"NAME":"a","ID":"1","USER_TEMPLATE":{"A":${'['.repeat(50_000)}${']'.repeat(50_000)}}}}`],
    ['null', 'null'],
    ['nothing', ''],
  ])('survives %s', async (_name, responseBody) => {
    const { outcome } = await replay({ ...recording('onegate', '002'), responseBody }, vm);
    expect(outcome).toMatchObject({ error: { code: 'onegate-garbled', transient: true, status: 200 } });
  });
});
