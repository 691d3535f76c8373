import { connect } from 'node:net';
import { FakeClock } from '@oneflower/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDummyDriver } from '../drivers/dummy.ts';
import { createFlowClient, createOneGate } from '../onegate/index.ts';
import { makeToken } from '../onegate/token.ts';
import { coverage, cuts } from '../testing/coverage.ts';
import { normalise, unescapeXml } from '../testing/normalise.ts';
import {
  parseResponse,
  type RecordedResponse,
  type Recording,
  recordedText,
  recordingsOf,
} from '../testing/recordings.ts';
import { createOned, createOnedServer } from './index.ts';

/** Ids that the recording gave between the recorded calls, by services that this replay does not run. */
interface Turn {
  before?(): void | Promise<void>;
  after?(): void | Promise<void>;
}

const admin = { name: 'oneadmin', password: 'throwaway-admin-1' };
const session = `${admin.name}:${admin.password}`;

const clock = new FakeClock(Date.UTC(2026, 10, 23, 16, 45, 40));
const driver = createDummyDriver({ hostName: 'host01' });
const oned = createOned({
  file: ':memory:',
  clock,
  driver,
  admin,
  capacity: { cpu: 800, memory: 16_777_216, disk: 20_480 },
});
const server = createOnedServer(oned);
let port = 0;

/** Lets hosts, images, networks, the scheduler and the driver do what they have to do. */
async function settle(): Promise<void> {
  await clock.advance(1100);
}

/** Lets the driver end its actions while the scheduler still waits. */
async function letDriverAct(): Promise<void> {
  await clock.advance(0);
}

/** Sends the recorded bytes, whole, and reads until the server closes. */
function exchange(bytes: Buffer, to = port): Promise<RecordedResponse> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const socket = connect(to, '127.0.0.1', () => socket.write(bytes));
    socket.on('data', part => parts.push(part));
    socket.on('error', reject);
    socket.on('close', () => resolve(parseResponse(Buffer.concat(parts))));
  });
}

/** The body without what differs between two runs, and without what this cloud does not have. */
function comparable(stem: string, body: string): string {
  let text = normalise(unescapeXml(body));
  for (const { elements, stems } of cuts) {
    if (stems && !stems.includes(stem)) continue;
    for (const name of elements) text = text.replace(new RegExp(`<${name}>.*?</${name}>|<${name}/>`, 'gs'), '');
  }
  return normalise(text);
}

/** Status line and header lines as they were sent, but for lengths and dates. */
function headOf(response: RecordedResponse): string {
  const head = response.raw.toString('latin1').split('\r\n\r\n')[0] ?? '';
  return normalise(head).replace(/(Content-length: )\d+/, '$1N');
}

const skipped = new Set(coverage.map(entry => `${entry.area}/${entry.stem}`));

function call(method: string, ...args: (string | number | boolean)[]): void {
  const answer = oned.call(session, method, ...args);
  if (!answer.ok) throw new Error(answer.message);
}

/** Moves the network on to an address, as VMs did that came and went in between. */
function skipTo(ip: string): void {
  call('one.vn.hold', 1, `LEASES=[IP="${ip}"]`);
  call('one.vn.release', 1, `LEASES=[IP="${ip}"]`);
}

/** A VM as OneFlow made it for a role. */
function serviceVm(id: number, template: number, role: string, number: number, more = ''): void {
  oned.setNextId('vm', id);
  const values = 'ONEAPP_FL_FRAMEWORK="pytorch"\nONEAPP_FL_TLS_ENABLED="YES"';
  const references = 'ONEAPP_FL_FRAMEWORK="$ONEAPP_FL_FRAMEWORK",ONEAPP_FL_TLS_ENABLED="$ONEAPP_FL_TLS_ENABLED"';
  const context = `CONTEXT=[NETWORK="YES",TOKEN="YES",REPORT_READY="YES",SSH_PUBLIC_KEY="$USER[SSH_PUBLIC_KEY]",${references}]`;
  const extra = `NIC=[NAME="_NIC0",NETWORK_ID="1"]\n${values}\n${context}\nROLE_NAME="${role}"\nSERVICE_ID="53"\n${more}`;
  call('one.template.instantiate', template, `${role}_${number}_(service_53)`, false, extra, false);
}

async function terminate(...ids: number[]): Promise<void> {
  for (const id of ids) call('one.vm.action', 'terminate-hard', id);
  await settle();
}

let release = (): void => undefined;

/** What happened around a recorded call that is not itself a recorded call. */
const around: Record<string, Turn> = {
  '068-host-info-monitored': { before: settle },
  '077-image-info-ready': { before: settle },
  '081-template-allocate': { before: settle },
  '101-vm-info-state3-lcm2': {
    async before() {
      release = driver.hold('deploy');
      await settle();
    },
  },
  '102-vm-info-state3-lcm3': {
    async before() {
      release();
      await settle();
    },
  },
  '103-vm-info-after-onegate-put': { before: () => call('one.vm.update', 0, 'READY="YES"', 1) },
  '122-err-vm-update-unknown': { before: () => call('one.vm.update', 0, 'LABEL="x"', 0) },
  '130-vm-action-poweroff': { after: settle },
  '133-vm-action-resume': { after: settle },
  '134-vm-action-suspend': { after: settle },
  '135-vm-action-resume-2': { after: settle },
  '136-vm-action-stop': { after: settle },
  '137-vm-action-resume-3': { after: settle },
  '138-vm-action-undeploy': { after: settle },
  '139-vm-action-resume-4': { after: settle },
  '149-vm-updateconf': { after: settle },
  '151-vm-attachnic': { after: settle },
  '166-vm-deploy': { after: settle },
  '167-vm-action-terminate': { after: settle },
  '212-vm-action-terminate-hold': { before: settle },
  '217-vm-info-service-vm': {
    async before() {
      serviceVm(4, 2, 'superlink', 0, 'ONEAPP_FL_LOG_LEVEL="INFO"');
      await settle();
    },
  },
  '221-vm-info-boot-failure': {
    async before() {
      skipTo('10.20.0.18');
      driver.failNext('deploy');
      serviceVm(15, 3, 'supernode', 5);
      await settle();
    },
    after: () => terminate(4, 15),
  },
  '017-onetemplate-instantiate-inputs--one-template-instantiate': {
    before() {
      skipTo('10.20.0.25');
      oned.setNextId('vm', 31);
    },
    after: settle,
  },
  '036-onetemplate-instantiate--one-template-instantiate': { before: () => oned.setNextId('vm', 33) },
  '037-onevm-poweroff--one-vm-action': { after: letDriverAct },
  '038-onevm-resume--one-vm-action': { after: letDriverAct },
  '042-onevm-terminate--one-vm-action': { after: settle },
  '222-vm-allocate-unplaceable': {
    async before() {
      await settle();
      oned.setNextId('vm', 37);
    },
  },
  '237-vm-info-no-token': { before: settle },
  '241-vm-info-no-host': {
    async before() {
      call('one.template.instantiate', 3, 'nohost', false, '', false);
      await settle();
    },
  },
  '243-host-delete-in-use': { before: () => terminate(38, 40) },
  '252-template-instantiate-context-special': { before: () => oned.setNextId('vm', 58) },
  '253-vm-info-context-special': { before: settle },
};

/** The token of the recording stands for the one that this server made. */
const recordedToken = '3d60fc1c035b914d81733d93797ed92bc0a72dc83aaeb3bd9acd88b68c02cd4c';
let ourToken = recordedToken;

function bytesOf(recording: Recording): Buffer {
  // Both tokens are of one length, so the Content-Length stays true.
  return Buffer.from(recording.request.raw.toString('latin1').replaceAll(recordedToken, ourToken), 'latin1');
}

/** The recorded calls to oned, in the order in which they were made. */
function inOrder(): Recording[] {
  const all = [...recordingsOf('xmlrpc'), ...recordingsOf('cli')].filter(
    recording =>
      (recording.area === 'xmlrpc' || recording.request.path === '/RPC2') &&
      !skipped.has(`${recording.area}/${recording.stem}`),
  );
  const at = (recording: Recording): number =>
    Date.parse((recording.response.headers.date ?? '').replace('UTC', 'GMT'));
  return all.sort((a, b) => at(a) - at(b));
}

beforeAll(async () => {
  port = await server.listen(0, '127.0.0.1');
});

afterAll(async () => {
  await server.close();
  oned.close();
});

describe('recorded calls to oned, in order', () => {
  it.each(inOrder().map(recording => [`${recording.area}/${recording.stem}`, recording] as const))(
    '%s',
    async (_name, recording) => {
      const turn = around[recording.stem];
      await turn?.before?.();
      const response = await exchange(bytesOf(recording));
      await turn?.after?.();
      if (recording.stem === '232-user-login-token') ourToken = /[0-9a-f]{64}/.exec(response.body)?.[0] ?? '';
      expect(headOf(response)).toBe(headOf(recording.response));
      expect(comparable(recording.stem, response.body)).toBe(comparable(recording.stem, recording.response.body));
    },
  );
});

describe('what the recorded guests found', () => {
  it.each([
    [0, 'vm0-context.sh.txt'],
    [58, 'vm58-context-special.sh.txt'],
  ])('context.sh of VM %i, byte for byte', (id, name) => {
    expect(driver.contextOf(id)?.['context.sh']).toBe(recordedText(`guest/${name}`));
  });

  it('token.txt, made of the secret that OneGate checks with', () => {
    const secret = oned.gateSecret(0);
    if (!secret) throw new Error('VM 0 has no secret.');
    expect(driver.contextOf(0)?.['token.txt']).toBe(`${makeToken({ vmId: 0, ...secret })}\n`);
    expect(driver.contextOf(39)).not.toHaveProperty('token.txt');
    expect(oned.gateSecret(39)).toBeUndefined();
  });
});

describe('recorded transport', () => {
  it.each(recordingsOf('http').filter(({ stem }) => !skipped.has(`http/${stem}`) && !/keepalive|onegate/.test(stem)))(
    '$stem',
    async recording => {
      const response = await exchange(recording.request.raw);
      const [first = '', second] = parts(recording.response.raw);
      expect(parts(response.raw)[0]).toBe(first);
      if (second !== undefined) expect(parts(response.raw)[1]).toBe(second);
    },
  );

  it('007: OneGate asks for the body too', async () => {
    const recorded = recordingsOf('http').find(({ stem }) => stem === '007-onegate-expect-100');
    const secret = oned.gateSecret(0);
    if (!recorded || !secret) throw new Error('No recording, or no VM 0.');
    const gate = createOneGate({ oned, flow: createFlowClient(() => undefined) });
    await gate.listen('127.0.0.1', 0);
    const ours = recorded.request.raw
      .toString('latin1')
      .replace(recorded.request.headers['x-onegate-token'] ?? '', makeToken({ vmId: 0, ...secret }));
    const response = await exchange(Buffer.from(ours, 'latin1'), gate.port);
    await gate.close();
    const lines = (raw: Buffer): string[] =>
      raw
        .toString('latin1')
        .split(/\r?\n/)
        .filter(line => line !== '' && line !== '---');
    expect(
      lines(response.raw)
        .map(line => line.toLowerCase())
        .sort(),
    ).toEqual(
      lines(recorded.response.raw)
        .map(line => line.toLowerCase())
        .sort(),
    );
  });

  it('001 and 002: answers one call per connection, however many are sent', async () => {
    const [first, last] = recordingsOf('http').filter(({ stem }) => stem.includes('keepalive'));
    if (!first || !last) throw new Error('No recordings of keep-alive.');
    const response = await exchange(Buffer.concat([first.request.raw, last.request.raw]));
    expect(headOf(response)).toBe(headOf(first.response));
    expect(response.body).toBe(first.response.body);
    expect(first.response.body).toBe(last.response.body);
  });

  /** What was sent before the final response, if anything, and the final response; dates blanked. */
  function parts(raw: Buffer): string[] {
    const text = normalise(raw.toString('utf8'));
    const interim = /^HTTP\/1\.1 100 continue\r\n\r\n/.exec(text)?.[0];
    if (interim === undefined) return [text];
    return [interim, text.slice(interim.length).replace(/^\n---\n/, '')];
  }
});

describe('coverage of the recordings', () => {
  const served = ['xmlrpc', 'http', 'cli'].flatMap(area => recordingsOf(area));

  it('leaves nothing out without a reason, and gives no reason for what is replayed', () => {
    const stems = new Set(served.map(({ area, stem }) => `${area}/${stem}`));
    for (const entry of coverage) {
      expect(stems, `${entry.area}/${entry.stem}`).toContain(`${entry.area}/${entry.stem}`);
      expect(entry.reason).not.toBe('');
    }
    expect(new Set(coverage.map(({ area, stem }) => `${area}/${stem}`)).size).toBe(coverage.length);
  });

  it('replays more than nine in ten of the calls to oned', () => {
    const xmlrpc = recordingsOf('xmlrpc');
    const left = coverage.filter(({ area }) => area === 'xmlrpc');
    expect(left.length / xmlrpc.length).toBeLessThan(0.1);
  });
});
