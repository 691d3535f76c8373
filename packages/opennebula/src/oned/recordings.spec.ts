import { describe, expect, it } from 'vitest';
import { CloudFailure, isForbidden, isNameTaken, isNotFound, isUnauthorized, isWrongState } from '../failure.ts';
import type { Template } from '../template/render.ts';
import { type Recording, recording } from '../testing/recordings.ts';
import { startServer } from '../testing/server.ts';
import { decodeCall } from '../xmlrpc/index.ts';
import { createOnedClient, type OnedClient } from './index.ts';

const ADMIN = 'oneadmin:throwaway-admin-1';
const TESTER = 'tester:throwaway-tester-1';

/** Runs a call against a server that gives the recorded answer; returns what the client made of it and what it sent. */
async function replay<Result>(item: Recording, session: string, run: (client: OnedClient) => Promise<Result>) {
  const server = await startServer(() => ({ status: item.status, body: item.responseBody }));
  const client = createOnedClient({ endpoint: `${server.url}/RPC2`, session });
  const outcome = await run(client).then(
    value => ({ value }),
    (error: unknown) => ({ error }),
  );
  await server.close();
  return { outcome, sent: server.seen };
}

type Call = (client: OnedClient) => Promise<unknown>;

/** Calls whose bodies must equal the recorded ones to the byte. */
const SAME_BYTES: [string, string, Call][] = [
  ['001', ADMIN, client => client.system.version()],
  ['004', ADMIN, client => client.system.config()],
  ['008', ADMIN, client => client.users.self()],
  ['016', TESTER, client => client.users.login({ user: 'tester', seconds: 3600 })],
  ['021', ADMIN, client => client.zones.list()],
  ['058', ADMIN, client => client.networks.list()],
  ['070', ADMIN, client => client.hosts.list()],
  ['072', ADMIN, client => client.networks.get(1)],
  ['077', ADMIN, client => client.images.get(0)],
  ['078', ADMIN, client => client.images.list()],
  ['087', ADMIN, client => client.templates.get(0)],
  ['091', ADMIN, client => client.templates.list()],
  ['093', ADMIN, client => client.templates.update(1, { LOGO: 'images/logos/linux.png' }, 'merge')],
  ['097', ADMIN, client => client.vms.get(0)],
  ['130', ADMIN, client => client.vms.act(0, 'poweroff')],
  ['140', ADMIN, client => client.vms.rename(0, 'vm-a-renamed')],
  ['155', ADMIN, client => client.vms.list()],
  ['157', ADMIN, client => client.vms.list({ extended: true })],
  ['159', ADMIN, client => client.vms.list({ owner: 'mine' })],
  ['171', ADMIN, client => client.vms.list({ includeDone: true })],
  ['162', ADMIN, client => client.templates.instantiate(1, { name: 'vm-hold', hold: true })],
  ['172', ADMIN, client => client.vms.recover(0, 'failure')],
  [
    '234',
    TESTER,
    client => client.users.revoke('tester', '3d60fc1c035b914d81733d93797ed92bc0a72dc83aaeb3bd9acd88b68c02cd4c'),
  ],
  ['247', ADMIN, client => client.templates.delete(1)],
];

const SUPERLINK: Template = {
  NAME: 'fl-superlink',
  CPU: 1,
  VCPU: 2,
  MEMORY: 2048,
  DISK: { IMAGE_ID: 0 },
  NIC: { NETWORK: 'fl-private', NETWORK_UNAME: 'oneadmin' },
  GRAPHICS: { TYPE: 'VNC', LISTEN: '0.0.0.0' },
  OS: { ARCH: 'x86_64' },
  DESCRIPTION: 'it\'s a "quoted" <tag> & ümlaut \\\\ back',
  USER_INPUTS: {
    ONEAPP_FL_TLS_ENABLED: 'O|boolean|Encrypt||YES',
    ONEAPP_FL_FRAMEWORK: 'O|list|Framework|pytorch,tensorflow,sklearn|pytorch',
    ONEAPP_FL_LOG_LEVEL: 'M|text|Log level||INFO',
  },
  CONTEXT: {
    NETWORK: true,
    TOKEN: true,
    REPORT_READY: true,
    SSH_PUBLIC_KEY: '$USER[SSH_PUBLIC_KEY]',
    ONEAPP_FL_TLS_ENABLED: '$ONEAPP_FL_TLS_ENABLED',
    ONEAPP_FL_FRAMEWORK: '$ONEAPP_FL_FRAMEWORK',
    ONEAPP_FL_LOG_LEVEL: '$ONEAPP_FL_LOG_LEVEL',
    START_SCRIPT_BASE64: 'IyEvYmluL3NoCmVjaG8gaGkK',
  },
};

/** Calls that carry a template, which the recorder laid out differently: equal but for blanks. */
const SAME_SHAPE: [string, string, Call][] = [
  ['081', ADMIN, client => client.templates.create(SUPERLINK)],
  ['096', ADMIN, client => client.templates.instantiate(0, { name: 'vm-a', extra: { ONEAPP_FL_LOG_LEVEL: 'DEBUG' } })],
  [
    '046',
    TESTER,
    client => client.users.update(2, { SSH_PUBLIC_KEY: 'ssh-ed25519 AAAA test', LANG: 'en_US' }, 'merge'),
  ],
  ['105', ADMIN, client => client.vms.update(0, { LABEL: 'x' }, 'replace')],
];

function withoutBlanks(xml: string) {
  const { method, params } = decodeCall(xml);
  return { method, params: params.map(param => (typeof param === 'string' ? param.replace(/\s/g, '') : param)) };
}

describe('requests to oned', () => {
  it.each(SAME_BYTES)('sends %s as it was recorded', async (stem, session, call) => {
    const item = recording('xmlrpc', stem);
    const { outcome, sent } = await replay(item, session, call);
    expect(outcome).not.toHaveProperty('error');
    expect(sent.map(request => request.body)).toEqual([item.requestBody]);
    expect(sent[0]).toMatchObject({ method: 'POST', path: '/RPC2', headers: { connection: 'close' } });
  });

  it.each(SAME_SHAPE)('sends %s as it was recorded but for blanks', async (stem, session, call) => {
    const item = recording('xmlrpc', stem);
    const { outcome, sent } = await replay(item, session, call);
    expect(outcome).not.toHaveProperty('error');
    expect(withoutBlanks(sent[0]?.body ?? '')).toEqual(withoutBlanks(item.requestBody));
  });

  it('sends nothing when a template cannot be carried', async () => {
    const { outcome, sent } = await replay(recording('xmlrpc', '081'), ADMIN, client =>
      client.templates.create({ NAME: 'a', DESCRIPTION: '🙂' }),
    );
    expect(outcome).toMatchObject({ error: { code: 'unsendable-character' } });
    expect(sent).toEqual([]);
  });
});

describe('answers of oned', () => {
  it('reads a machine of a service', async () => {
    const { outcome } = await replay(recording('xmlrpc', '217'), ADMIN, client => client.vms.get(4));
    expect(outcome).toMatchObject({
      value: {
        id: 4,
        name: 'superlink_0_(service_53)',
        state: 'ACTIVE',
        lcmState: 'RUNNING',
        serviceId: 53,
        roleName: 'superlink',
        nics: [{ ip: '10.20.0.13', mac: '02:00:0a:14:00:0d', network: 'fl-private', networkId: 1 }],
        template: {
          CONTEXT: { VMID: '4', TOKEN: 'YES' },
          AUTOMATIC_REQUIREMENTS: '(CLUSTER_ID = 0) & !(PIN_POLICY = PINNED)',
        },
      },
    });
  });

  it.each([
    ['163', { state: 'HOLD', lcmState: 'LCM_INIT' }],
    ['168', { state: 'DONE', lcmState: 'LCM_INIT' }],
    ['131', { state: 'POWEROFF', lcmState: 'LCM_INIT' }],
    ['221', { state: 'ACTIVE', lcmState: 'BOOT_FAILURE' }],
    ['238', { state: 'PENDING', schedulerMessage: expect.stringContaining('Not enough CPU') }],
  ])('reads the state in %s', async (stem, expected) => {
    const { outcome } = await replay(recording('xmlrpc', stem), ADMIN, client => client.vms.get(0));
    expect(outcome).toMatchObject({ value: expected });
  });

  it('reads repeated names as arrays and single ones alike', async () => {
    const { outcome } = await replay(recording('xmlrpc', '155'), ADMIN, client => client.vms.list());
    expect(outcome).toMatchObject({ value: [{ id: 0, nics: [{ ip: '10.20.0.10' }, { ip: '10.20.0.11' }] }] });
  });

  it('keeps the text of attributes whole', async () => {
    const { outcome } = await replay(recording('xmlrpc', '253'), ADMIN, client => client.vms.get(0));
    expect(outcome).toMatchObject({ value: { template: { CONTEXT: { A: "it's", B: 'a"b', D: 'l1\nl2', E: '<&>' } } } });
  });

  it('reads images, networks, users, hosts and zones', async () => {
    const read = async (stem: string, call: Call) => (await replay(recording('xmlrpc', stem), ADMIN, call)).outcome;
    expect(await read('077', client => client.images.get(0))).toMatchObject({
      value: { name: 'fl-base', state: 'READY', sizeMb: 1024, datastore: 'dummy-images' },
    });
    expect(await read('072', client => client.networks.get(1))).toMatchObject({
      value: { name: 'fl-private', state: 'READY', clusterIds: [0], template: { GATEWAY: '10.20.0.1' } },
    });
    expect(await read('008', client => client.users.self())).toMatchObject({
      value: { id: 0, name: 'oneadmin', groupIds: [0], enabled: true },
    });
    expect(await read('070', client => client.hosts.list())).toMatchObject({
      value: [{ name: 'host01', state: 'MONITORED' }],
    });
    expect(await read('021', client => client.zones.list())).toEqual({
      value: [{ id: 0, name: 'OpenNebula', endpoint: 'http://localhost:2633/RPC2' }],
    });
    expect(await read('001', client => client.system.version())).toEqual({ value: '7.5.80' });
    expect(await read('004', client => client.system.config())).toMatchObject({ value: { API_LIST_ORDER: 'DESC' } });
  });

  it('never reads the hash of a password', async () => {
    const { outcome } = await replay(recording('xmlrpc', '008'), ADMIN, client => client.users.self());
    expect(JSON.stringify(outcome)).not.toContain('beb75507009e39b5');
  });
});

const vm: Call = client => client.vms.get(0);
/** Recorded refusals and what they are to us. */
const REFUSALS: [string, Call, Partial<CloudFailure>][] = [
  ['003', client => client.system.version(), { kind: 'unauthenticated', errno: 256, transient: false }],
  ['015', vm, { kind: 'forbidden', errno: 512 }],
  ['034', vm, { kind: 'refused', errno: -506 }],
  ['035', vm, { kind: 'refused', errno: -501 }],
  ['039', vm, { kind: 'refused', errno: -503 }],
  ['040', vm, { kind: 'garbled', status: 400 }],
  ['042', vm, { kind: 'garbled', status: 404 }],
  ['083', client => client.templates.create({ NAME: 'a' }), { kind: 'refused', errno: 8192 }],
  ['098', vm, { kind: 'not-found', errno: 1024 }],
  ['099', vm, { kind: 'forbidden', errno: 512 }],
  ['107', client => client.vms.update(0, { A: 'b' }, 'merge'), { kind: 'refused', errno: 2048 }],
  ['124', client => client.vms.act(0, 'hold'), { kind: 'refused', errno: 2048 }],
  ['127', client => client.vms.act(0, 'resume'), { kind: 'wrong-state', errno: 2048 }],
  ['147', client => client.vms.act(0, 'poweroff'), { kind: 'forbidden', errno: 512 }],
  ['202', client => client.vms.update(0, { A: 'b' }, 'merge'), { kind: 'locked', errno: 512 }],
  ['175', client => client.templates.instantiate(98), { kind: 'not-found', errno: 1024 }],
  ['228', client => client.templates.instantiate(0), { kind: 'forbidden', errno: 512 }],
  ['251', vm, { kind: 'crashed', errno: -500 }],
];

describe('refusals of oned', () => {
  it.each(REFUSALS)('tells the cause of %s', async (stem, call, expected) => {
    const { outcome, sent } = await replay(recording('xmlrpc', stem), ADMIN, call);
    expect(outcome).toMatchObject({ error: { server: 'oned', ...expected } });
    expect(sent).toHaveLength(1);
  });

  it("carries the server's words and the call, never the session", async () => {
    const { outcome } = await replay(recording('xmlrpc', '098'), ADMIN, vm);
    const error = 'error' in outcome ? outcome.error : undefined;
    expect(error).toBeInstanceOf(CloudFailure);
    expect(error).toMatchObject({
      code: 'oned-not-found',
      call: 'one.vm.info',
      words: expect.stringMatching(/^\[one\.vm\.info\] Error getting virtual machine/),
    });
    expect(JSON.stringify(error) + String(error)).not.toContain('throwaway');
  });

  it('answers the questions that callers ask', async () => {
    const error = async (stem: string) => {
      const { outcome } = await replay(recording('xmlrpc', stem), ADMIN, vm);
      return 'error' in outcome ? outcome.error : undefined;
    };
    expect(isNotFound(await error('098'))).toBe(true);
    expect(isUnauthorized(await error('003'))).toBe(true);
    expect(isForbidden(await error('099'))).toBe(true);
    expect(isWrongState(await error('127'))).toBe(true);
    expect(isNameTaken(await error('083'))).toBe(true);
    expect(isNameTaken(await error('084'))).toBe(false);
  });
});
