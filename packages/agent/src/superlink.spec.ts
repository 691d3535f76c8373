import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createControlApi, type FlowerNode } from './flower-control/index.ts';
import { processesOf } from './supervision/processes.ts';
import { loopbackNetwork, realSoftware, TestAgent } from './testing/agents.ts';
import { type FakeOneGate, fakeOneGate } from './testing/onegate.ts';

const joinToken = 'a-join-token-of-this-test';
const long = 240_000;
const patient = { timeout: 120_000, interval: 250 };

let folder: string;
const agents: TestAgent[] = [];

beforeAll(async () => {
  realSoftware();
  folder = await mkdtemp(join(tmpdir(), 'oneflower-agents-'));
  await chmod(folder, 0o755);
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

afterEach(async context => {
  for (const agent of agents.splice(0)) {
    await agent.clear();
    if (context.task.result?.state === 'fail') console.error(agent.log);
  }
});

function agent(name: string, address: string): TestAgent {
  const made = new TestAgent(join(folder, name), address);
  agents.push(made);
  return made;
}

/** What OneGate has been told so far. */
function attributes(gate: FakeOneGate): Record<string, string> {
  return Object.assign({}, ...gate.puts);
}

function throughOneGate(gate: FakeOneGate): Record<string, string> {
  return { TOKEN: 'YES', ONEGATE_ENDPOINT: gate.endpoint, VMID: '7', REPORT_READY: 'YES' };
}

async function caOf(superLink: TestAgent): Promise<string> {
  return readFile(join(superLink.root, 'opt/flower/certs/ca.crt'), 'utf8');
}

async function onlyNode(superLink: TestAgent, address: string): Promise<FlowerNode | undefined> {
  const control = createControlApi({ host: address, port: 8000, caPem: await caOf(superLink) });
  try {
    return (await control.listNodes()).find(({ status }) => status !== 'unregistered');
  } catch {
    return undefined;
  } finally {
    control.close();
  }
}

/** Kills a process of Flower in a guest, as the kernel would without memory. */
async function killFlower(superLink: TestAgent, program: string): Promise<void> {
  const lines = await Promise.all(
    (await processesOf(superLink.root)).map(async ({ pid }) => ({
      pid,
      command: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
    })),
  );
  const found = lines.find(({ command }) => command.includes(`/${program}\0`));
  expect(found, `${program} runs`).toBeDefined();
  process.kill(found?.pid ?? 0, 'SIGKILL');
}

describe('a SuperLink and a SuperNode', () => {
  it(
    'find one another, survive the loss of each part, and end in an orderly way',
    async () => {
      const at = loopbackNetwork();
      const gate = await fakeOneGate();
      const superLink = agent('link', at(1));
      await superLink.writeContext({ FL_ROLE: 'superlink', FL_JOIN_TOKEN: joinToken, ...throughOneGate(gate) }, 'abc');
      superLink.start();
      await expect.poll(() => attributes(gate).READY, patient).toBe('YES');
      expect(gate.puts[0]).toMatchObject({ FL_READY: 'NO', READY: 'NO' });
      // OneFlow opens its gate at the first READY: whoever sees it sees the rest.
      const first = gate.puts.find(put => put.FL_READY === 'YES');
      expect(first).toMatchObject({ FL_ENDPOINT: `${at(1)}:9092`, FL_TLS: 'YES', FL_JOIN_TOKEN: joinToken });
      expect(Buffer.from(first?.FL_CA_CERT ?? '', 'base64').toString()).toBe(await caOf(superLink));

      const superNode = agent('node', at(2));
      await superNode.writeContext({
        FL_ROLE: 'supernode',
        FL_SUPERLINK_ADDRESS: `${at(1)}:9092`,
        FL_SSL_CA_CERTFILE: await caOf(superLink),
        FL_JOIN_TOKEN: joinToken,
        VMID: '8',
      });
      superNode.start();
      await expect.poll(() => superNode.log, patient).toContain('The VM is ready.');
      const before = await onlyNode(superLink, at(1));
      expect(before?.status).toBe('online');

      // The SuperLink's Flower dies: its node is online again under the same id.
      await killFlower(superLink, 'flower-superlink');
      await expect.poll(async () => (await onlyNode(superLink, at(1)))?.status, patient).toBe('online');

      // The SuperNode's agent dies: the next one ends what it has left, and is the same node.
      await superNode.kill();
      superNode.log = '';
      superNode.start();
      await expect.poll(() => superNode.log, patient).toContain('The VM is ready.');
      expect(superNode.log).toContain('processes of an agent that died');
      expect(await onlyNode(superLink, at(1))).toMatchObject({ nodeId: before?.nodeId, status: 'online' });

      expect(superNode.log).not.toContain('the SuperLink refuses its key');

      // The SuperNode's Flower dies: its key is refused for about a minute, which is said once.
      superNode.log = '';
      await killFlower(superNode, 'flower-supernode');
      await expect.poll(() => superNode.log, patient).toContain('A Flower process has ended by itself.');
      await expect.poll(() => superNode.log, patient).toContain('lists this node online again');
      expect(superNode.log.match(/the SuperLink refuses its key until/g)).toHaveLength(1);

      // An orderly end frees the key at once and leaves no process.
      expect(await superNode.stop()).toBe(0);
      await expect(processesOf(superNode.root)).resolves.toEqual([]);
      expect(await superLink.stop()).toBe(0);
      await expect(processesOf(superLink.root)).resolves.toEqual([]);
      expect(attributes(gate)).toMatchObject({ FL_READY: 'NO', READY: 'NO' });
    },
    long,
  );

  it(
    'take another context without restarting what has not changed',
    async () => {
      const at = loopbackNetwork();
      const gate = await fakeOneGate();
      const superLink = agent('changed', at(1));
      const values = { FL_ROLE: 'superlink', ...throughOneGate(gate) };
      await superLink.writeContext(values, 'abc');
      superLink.start();
      await expect.poll(() => attributes(gate).READY, patient).toBe('YES');
      await superLink.writeContext({ ...values, FL_FLEET_API_ADDRESS: '0.0.0.0:9192' }, 'abc');
      superLink.signal('SIGHUP');
      await expect
        .poll(() => attributes(gate), patient)
        .toMatchObject({
          FL_ENDPOINT: `${at(1)}:9192`,
          READY: 'YES',
        });
      expect(superLink.log.match(/A Flower process was started/g)).toHaveLength(1);
      expect(await superLink.stop()).toBe(0);
    },
    long,
  );

  it(
    'says that its port is taken, and is ready when that is free',
    async () => {
      const at = loopbackNetwork();
      const gate = await fakeOneGate();
      const squatter = createServer().listen(9092, at(1));
      await once(squatter, 'listening');
      const superLink = agent('taken', at(1));
      await superLink.writeContext({ FL_ROLE: 'superlink', ...throughOneGate(gate) }, 'abc');
      superLink.start();
      await expect.poll(() => attributes(gate).FL_ERROR, patient).toBe('port_taken');
      const text = Buffer.from(attributes(gate).FL_ERROR_TEXT ?? '', 'base64').toString();
      expect(text).toContain('9092');
      expect(text).toContain('Choose another port');
      squatter.close();
      await expect.poll(() => attributes(gate), patient).toMatchObject({ READY: 'YES', FL_ERROR: '' });
      expect(await superLink.stop()).toBe(0);
    },
    long,
  );
});
