import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { CloudFailure } from '../failure.ts';
import { type Recording, recording, recordings } from '../testing/recordings.ts';
import { startServer } from '../testing/server.ts';
import { createOneflowClient, type OneflowClient, type ServiceTemplateBody } from './index.ts';

const ADMIN = 'oneadmin:throwaway-admin-1';
const FAST = { attempts: 1, firstDelayMs: 0, maxDelayMs: 0 };
type Call = (client: OneflowClient) => Promise<unknown>;

async function replay(item: Recording, call: Call) {
  const server = await startServer(() => ({ status: item.status, body: item.responseBody }));
  const outcome = await call(createOneflowClient({ url: `${server.url}/`, session: ADMIN, retry: FAST })).then(
    value => ({ value }),
    (error: unknown) => ({ error }),
  );
  await server.close();
  return { outcome, sent: server.seen };
}

function parsed(body: string): unknown {
  return body === '' ? undefined : JSON.parse(body);
}

const CLI_TEMPLATE: ServiceTemplateBody = {
  name: 'cli-service',
  deployment: 'straight',
  ready_status_gate: false,
  user_inputs: { ONEAPP_FL_FRAMEWORK: 'O|list|Framework|pytorch,tensorflow|pytorch' },
  networks: { Private: 'M|network|Private network| |id:1' },
  roles: [
    {
      name: 'superlink',
      type: 'vm',
      cardinality: 1,
      template_id: 2,
      min_vms: 1,
      max_vms: 1,
      template_contents: { NIC: [{ NAME: '_NIC0', NETWORK_ID: '$Private' }] },
    },
    {
      name: 'supernode',
      type: 'vm',
      parents: ['superlink'],
      cardinality: 1,
      template_id: 3,
      min_vms: 1,
      max_vms: 3,
      cooldown: 5,
      template_contents: { NIC: [{ NAME: '_NIC0', NETWORK_ID: '$Private' }] },
    },
  ],
};

const REQUESTS: ['cli' | 'oneflow', string, Call][] = [
  ['cli', '046', client => client.templates.list()],
  ['cli', '047', client => client.templates.create(CLI_TEMPLATE)],
  ['cli', '049', client => client.templates.get(78)],
  [
    'cli',
    '051',
    client =>
      client.templates.instantiate(78, {
        name: 'cli-svc-1',
        user_inputs_values: { ONEAPP_FL_FRAMEWORK: 'tensorflow' },
      }),
  ],
  ['cli', '052', client => client.services.list()],
  ['cli', '053', client => client.services.get(79)],
  ['cli', '056', client => client.services.scale(79, 'supernode', 2)],
  ['cli', '060', client => client.services.act(79, 'rename', { name: 'cli-svc-1b' })],
  ['cli', '061', client => client.services.actOnRole(79, 'supernode', 'reboot', { period: 5, number: 1 })],
  ['cli', '084', client => client.services.delete(79)],
  ['cli', '087', client => client.templates.delete(78)],
  ['cli', '088', client => client.services.purgeDone()],
  ['oneflow', '148', client => client.services.act(57, 'release')],
  ['oneflow', '162', client => client.services.recoverDelete(59)],
  ['oneflow', '173', client => client.templates.rename(64, 'renamed')],
  ['oneflow', '175', client => client.templates.clone(64, 'the-clone')],
  [
    'oneflow',
    '179',
    client =>
      client.templates.update(64, {
        name: 'renamed',
        roles: [{ name: 'a', type: 'vm', cardinality: 2, template_id: 2 }],
      }),
  ],
];

describe('requests to OneFlow', () => {
  it.each(REQUESTS)('sends %s/%s as it was recorded', async (area, stem, call) => {
    const item = recording(area, stem);
    const { outcome, sent } = await replay(item, call);
    expect(outcome).not.toHaveProperty('error');
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({
      method: item.method,
      path: item.path,
      headers: { authorization: item.requestHeaders.authorization, connection: 'close' },
    });
    expect(parsed(sent[0]?.body ?? '')).toEqual(parsed(item.requestBody));
  });

  it('recovers as the command line tool does', async () => {
    const item = recording('cli', '082');
    const { outcome, sent } = await replay(item, client => client.services.recover(79));
    expect(parsed(sent[0]?.body ?? '')).toEqual(parsed(item.requestBody));
    expect(outcome).toMatchObject({ error: { code: 'oneflow-wrong-state' } });
  });

  it.each(['a]]>b', '🙂', 'a\u0000b'])('sends nothing for a template that holds %j', async bad => {
    const body = { ...CLI_TEMPLATE, user_inputs: { A: bad } };
    const { outcome, sent } = await replay(recording('cli', '047'), client => client.templates.create(body));
    expect(outcome).toMatchObject({ error: { code: expect.stringMatching(/^(oneflow-value|unsendable-character)$/) } });
    expect(sent).toEqual([]);
  });
});

const bodyOf = z.object({ DOCUMENT: z.object({ TEMPLATE: z.object({ BODY: z.record(z.string(), z.json()) }) }) });

describe('answers of OneFlow', () => {
  const answers = recordings('oneflow').filter(item => item.status === 200 || item.status === 201);
  const services = answers.filter(item => item.method === 'GET' && /^\/service\/\d+$/.test(item.path));
  const templates = answers.filter(
    item => /^\/service_template(\/\d+)?$/.test(item.path) && item.responseBody.includes('"DOCUMENT":'),
  );
  const singles = templates.filter(item => item.method !== 'GET' || /\d$/.test(item.path));

  it('has recordings to read', () => {
    expect(services.length).toBeGreaterThan(80);
    expect(singles.length).toBeGreaterThan(25);
  });

  it.each(services.map(item => [item.stem, item] as const))('reads the service in %s', async (_stem, item) => {
    const { outcome } = await replay(item, client => client.services.get(1));
    expect(outcome).toMatchObject({ value: { state: expect.not.stringMatching('OTHER') } });
    const { BODY } = bodyOf.parse(JSON.parse(item.responseBody)).DOCUMENT.TEMPLATE;
    expect(outcome).toMatchObject({ value: { body: BODY, name: expect.any(String), roles: expect.any(Array) } });
  });

  it.each(singles.map(item => [item.stem, item] as const))('reads the template in %s', async (_stem, item) => {
    const { outcome } = await replay(item, client => client.templates.get(1));
    const { BODY } = bodyOf.parse(JSON.parse(item.responseBody)).DOCUMENT.TEMPLATE;
    expect(outcome).toMatchObject({ value: { id: expect.any(Number), body: BODY, registeredAt: expect.any(Number) } });
  });

  it('names states, roles and nodes', async () => {
    const { outcome } = await replay(recording('oneflow', '085'), client => client.services.get(53));
    expect(outcome).toMatchObject({
      value: {
        id: 53,
        name: 'flower-1',
        uname: 'oneadmin',
        state: 'COOLDOWN',
        startTime: 1795452907,
        roles: [
          {
            name: 'superlink',
            state: 'RUNNING',
            cardinality: 1,
            parents: [],
            nodes: [{ vmId: 4, name: 'superlink_0_(service_53)' }],
          },
          {
            name: 'supernode',
            state: 'COOLDOWN',
            cardinality: 3,
            parents: ['superlink'],
            minVms: 1,
            maxVms: 4,
            cooldown: 12,
          },
        ],
      },
    });
  });

  it('reads HOLD of roles, whose number is not that of services', async () => {
    const { outcome } = await replay(recording('oneflow', '147'), client => client.services.get(57));
    expect(outcome).toMatchObject({ value: { state: 'HOLD', roles: [{ state: 'HOLD' }, { state: 'HOLD' }] } });
  });

  it('reads why a deployment failed', async () => {
    const { outcome } = await replay(recording('oneflow', '158'), client => client.services.get(59));
    const message = expect.stringContaining('Instantiate failed for template 4242');
    expect(outcome).toMatchObject({
      value: {
        state: 'FAILED_DEPLOYING',
        log: expect.arrayContaining([{ timestamp: 1795453236, severity: 'E', message }]),
      },
    });
  });

  it('reads lists, empty ones too', async () => {
    const empty = await replay(recording('oneflow', '009'), client => client.services.list());
    expect(empty.outcome).toEqual({ value: [] });
    expect((await replay(recording('oneflow', '008'), client => client.templates.list())).outcome).toEqual({
      value: [],
    });
    const listed = await replay(recording('oneflow', '069'), client => client.services.list());
    expect(listed.outcome).toMatchObject({ value: [{ id: 53, state: 'RUNNING' }] });
  });
});

describe('lists of OneFlow', () => {
  it('are not hidden by a document in another shape', async () => {
    const item = recording('oneflow', '069');
    const responseBody = item.responseBody.replace(/"DOCUMENT": \[/, '"DOCUMENT": [{"ID":"1","TEMPLATE":{}},');
    const { outcome } = await replay({ ...item, responseBody }, client => client.services.list());
    expect(outcome).toMatchObject({ value: [{ id: 53 }] });
  });
});

const get: Call = client => client.services.get(53);
const create: Call = client => client.templates.create(CLI_TEMPLATE);
const scale: Call = client => client.services.scale(53, 'supernode', 3);
const REFUSALS: [string, Call, Partial<CloudFailure>][] = [
  ['001', get, { kind: 'unauthenticated', status: 401, transient: true }],
  ['002', get, { kind: 'unauthenticated', status: 401, transient: true }],
  ['276', get, { kind: 'unauthenticated', status: 401, transient: true }],
  ['005', get, { kind: 'garbled', status: 404, words: 'a page of HTML' }],
  ['011', get, { kind: 'not-found', status: 404, words: '[one.document.info] Error getting document [999].' }],
  ['111', get, { kind: 'forbidden', status: 401, transient: false }],
  ['018', create, { kind: 'refused', status: 400 }],
  ['017', create, { kind: 'crashed', status: 500 }],
  ['061', client => client.templates.instantiate(52), { kind: 'refused', status: 500 }],
  ['058', client => client.templates.instantiate(52), { kind: 'refused', status: 400 }],
  ['264', client => client.templates.instantiate(84), { kind: 'not-found', status: 404 }],
  ['064', client => client.services.delete(53), { kind: 'wrong-state', status: 500 }],
  ['065', scale, { kind: 'wrong-state', status: 500 }],
  ['070', scale, { kind: 'refused', status: 500 }],
  ['072', scale, { kind: 'refused', status: 500 }],
  ['119', scale, { kind: 'crashed', status: 500 }],
  ['108', client => client.services.act(53, 'release'), { kind: 'wrong-state', status: 500 }],
];

describe('refusals of OneFlow', () => {
  it.each(REFUSALS)('tells the cause of %s', async (stem, call, expected) => {
    const { outcome, sent } = await replay(recording('oneflow', stem), call);
    expect(outcome).toMatchObject({ error: { server: 'oneflow', code: `oneflow-${expected.kind}`, ...expected } });
    expect(sent).toHaveLength(1);
  });

  it('does not repeat the request, which may hold secrets', async () => {
    const { outcome } = await replay(recording('oneflow', '018'), create);
    expect(outcome).toMatchObject({ error: { words: "Mandatory document key 'name (string)' is missing" } });
  });

  it('gives every recorded refusal a kind and its words', async () => {
    for (const item of recordings('oneflow').filter(({ status }) => status >= 400)) {
      const { outcome } = await replay(item, get);
      expect(outcome, item.stem).toMatchObject({ error: { status: item.status, words: expect.stringMatching(/./) } });
    }
  });
});
