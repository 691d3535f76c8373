import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FakeClock } from '@oneflower/contract';
import { createOnegateClient } from '@oneflower/opennebula/onegate';
import { describe, expect, it } from 'vitest';
import { runSteps } from '../boot/engine.ts';
import { superNodeSteps } from '../boot/supernode-steps.ts';
import { UnderWay } from '../boot/under-way.ts';
import { keptLog } from '../testing/log.ts';
import { type FakeOneGate, fakeOneGate, type OneGateMood } from '../testing/onegate.ts';
import { discover, type Found, findSuperLinkVm } from './discover.ts';

const recordings = join(import.meta.dirname, '../../../../tests/recordings/opennebula/onegate');
const nowhere = { address: '', references: {}, lost: false };

function recorded(name: string): unknown {
  const response = readFileSync(join(recordings, `${name}.res`), 'utf8');
  return JSON.parse(response.slice(response.indexOf('\r\n\r\n')));
}

function service(...nodes: Record<string, string>[]): unknown {
  const vms = nodes.map((userTemplate, index) => ({
    deploy_id: index,
    running: null,
    vm_info: { VM: { ID: String(index), NAME: `superlink_${index}`, USER_TEMPLATE: userTemplate } },
  }));
  const roles = [{ name: 'superlink', cardinality: nodes.length, state: 2, nodes: vms }];
  return { SERVICE: { name: 'flower', id: '5', state: 2, roles } };
}

function client(gate: FakeOneGate, timeoutMs = 20_000) {
  const retry = { attempts: 1, firstDelayMs: 0, maxDelayMs: 0 };
  return createOnegateClient({ endpoint: gate.endpoint, token: 'abc', vmId: 8, retry, timeoutMs });
}

const here = { FL_READY: 'YES', FL_ENDPOINT: '10.0.0.5:9092', FL_TLS: 'YES', FL_CA_CERT: 'Q0E=', FL_JOIN_TOKEN: 't' };

describe('discover', () => {
  it('asks OneGate for the extended service', async () => {
    const gate = await fakeOneGate();
    gate.service = service({ FL_READY: 'NO', FL_ENDPOINT: '10.0.0.4:9092' }, here);
    await expect(discover(nowhere, client(gate))).resolves.toEqual({
      from: 'onegate',
      advertised: { endpoint: '10.0.0.5:9092', tls: 'YES', ca: 'Q0E=', joinToken: 't', vmId: 1 },
    });
    expect(gate.requests).toEqual(['GET /service?extended=true']);
  });

  it('asks for nothing where the address is static', async () => {
    const gate = await fakeOneGate();
    await discover({ ...nowhere, address: '10.0.0.9:9092' }, client(gate));
    expect(gate.requests).toEqual([]);
  });

  it('takes what OneFlow filled in when OneGate knows nothing of a successor', async () => {
    const gate = await fakeOneGate();
    const references = { SUPERLINK_ENDPOINT: '10.0.0.5:9092' };
    await expect(discover({ ...nowhere, references, lost: true }, client(gate))).resolves.toMatchObject({
      from: 'references',
    });
    gate.service = service({ ...here, FL_ENDPOINT: '10.0.0.6:9092' });
    await expect(discover({ ...nowhere, references, lost: true }, client(gate))).resolves.toMatchObject({
      advertised: { endpoint: '10.0.0.6:9092' },
    });
  });

  it('reads what a real OneGate answers, and calls it not ready yet', async () => {
    const gate = await fakeOneGate();
    for (const name of ['114-supernode-get-service', '110-service-get-deploying']) {
      gate.service = recorded(name);
      await expect(discover(nowhere, client(gate))).rejects.toMatchObject({
        code: 'discovery_failed',
        message: 'No VM of the superlink role says yet that it is ready.',
      });
    }
  });

  it('says that a service has no such role', async () => {
    const gate = await fakeOneGate();
    gate.service = { SERVICE: { name: 'other', id: '5', state: 2, roles: [] } };
    await expect(discover(nowhere, client(gate))).rejects.toThrow('The service other has no role superlink.');
  });
});

describe('findSuperLinkVm', () => {
  const other = { ...here, FL_ENDPOINT: '10.0.0.6:9092' };
  it.each([
    ['the only one, whatever it says', [other], 0],
    ['the one with the address among several', [other, here], 1],
    ['none where no one has it', [other, other], undefined],
    ['none where there is none', [], undefined],
  ])('is %s', async (_, nodes, vm) => {
    const gate = await fakeOneGate();
    gate.service = service(...nodes);
    await expect(findSuperLinkVm(client(gate), '10.0.0.5:9092')).resolves.toBe(vm);
    gate.mood = 'crashes';
    await expect(findSuperLinkVm(client(gate), '10.0.0.5:9092')).resolves.toBeUndefined();
  });
});

describe('the boot step', () => {
  const step = superNodeSteps.find(({ name }) => name === 'discover');

  /** Runs the step with the real deadline and pauses; time passes in between. */
  async function boot(gate: FakeOneGate, meanwhile: (seconds: number) => void) {
    const clock = new FakeClock();
    const { log, lines } = keptLog(clock);
    const overdue: string[] = [];
    const machine: { found?: Found } = {};
    if (!step) throw new Error('There is no such step');
    const attempts: Promise<void>[] = [];
    async function attempt(): Promise<void> {
      machine.found = await discover(nowhere, client(gate));
    }
    const own = {
      ...step,
      run: () => {
        const running = attempt();
        attempts.push(running.catch(() => undefined));
        return running;
      },
    };
    const surroundings = {
      ...{ clock, log, underWay: new UnderWay(clock) },
      ...{ stepEnded: () => undefined, overdue: () => void overdue.push('late') },
    };
    const outcome = runSteps([own], undefined, surroundings, new AbortController().signal);
    const began = clock.now();
    for (let second = 0; second < 4000 && !machine.found; second++) {
      meanwhile((clock.now() - began) / 1000);
      await clock.advance(1000);
      // An answer over the network takes real time, in which this clock stands still.
      await Promise.all(attempts);
    }
    await expect(outcome).resolves.toEqual({ ready: true });
    return { lines: lines.filter(line => line.includes('[WARNING]')), overdue, found: machine.found };
  }

  it('waits for a SuperLink that is late by minutes, and says so once', async () => {
    const gate = await fakeOneGate();
    gate.service = service({});
    const { lines, overdue, found } = await boot(gate, seconds => {
      if (seconds >= 600) gate.service = service(here);
    });
    expect(found?.advertised.endpoint).toBe('10.0.0.5:9092');
    expect(lines).toHaveLength(1);
    expect(overdue).toEqual(['late']);
  });

  it('survives a OneGate that refuses, crashes and talks garbage, and says each once', async () => {
    const gate = await fakeOneGate();
    const moods: OneGateMood[] = ['refuses', 'crashes', 'garbage', 'well'];
    gate.service = service(here);
    const { lines } = await boot(gate, seconds => {
      gate.mood = moods[Math.floor(seconds / 100)] ?? 'well';
    });
    expect(lines).toHaveLength(3);
    expect(lines.join()).toMatch(/OneGate cannot be asked/);
  });

  it('survives a OneGate that hangs, and one that is not there', async () => {
    const gate = await fakeOneGate();
    gate.mood = 'hangs';
    await expect(discover(nowhere, client(gate, 150))).rejects.toMatchObject({ code: 'discovery_failed' });
    const absent = createOnegateClient({
      ...{ endpoint: 'http://127.0.0.1:1', token: 'abc', vmId: 8, timeoutMs: 150 },
      retry: { attempts: 1, firstDelayMs: 0, maxDelayMs: 0 },
    });
    await expect(discover(nowhere, absent)).rejects.toMatchObject({ code: 'discovery_failed', fault: 'environment' });
  });
});
