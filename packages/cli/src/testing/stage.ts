import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { roleNames, systemClock } from '@oneflower/contract';
import { type Cloud, type CloudAccess, connectCloud, embeddedCloud, findCloud, saveCloud } from '@oneflower/control';
import { createDummyDriver, type DummyDriver, openCloud } from '@oneflower/minicloud';
import { type Authority, makeAuthority } from './certificates.ts';
import { type CommandLine, type Finished, runCommandLine } from './command-line.ts';
import { OperatorServer } from './operator-server.ts';

/**
 * An embedded cloud in this process whose VMs only change their state, and a stand-in for the agents in them: it
 * publishes what they would. The operator API of the SuperLink is a real HTTPS server.
 */
export interface Stage {
  home: string;
  driver: DummyDriver;
  oned: Cloud['oned'];
  access(): Promise<CloudAccess>;
  operator: OperatorServer;
  authority: Authority;
  /** Attributes with which VMs answer instead of being ready, by the start of their name. */
  instead: Map<string, Record<string, string>>;
  run(...words: string[]): Promise<Finished>;
  runWith(line: Partial<CommandLine>, ...words: string[]): Promise<Finished>;
  close(): Promise<void>;
}

type Vm = Awaited<ReturnType<Cloud['oned']['vms']['get']>>;

const lookEveryMs = 100;
const operatorHost = '127.0.0.1';

export async function openStage(): Promise<Stage> {
  const home = await mkdtemp(join(tmpdir(), 'oneflower-cli-'));
  const driver = createDummyDriver();
  const cloud = await openCloud({ directory: join(home, 'embedded'), driver, clock: systemClock });
  await saveCloud(home, embeddedCloud, cloud.endpoints);
  const access = () => findCloud({ home, environment: {}, cloud: embeddedCloud });
  const { oned } = connectCloud(await access());
  const authority = await makeAuthority();
  const operator = new OperatorServer(await authority.issue(operatorHost));
  const port = await operator.listen(operatorHost);
  const instead = new Map<string, Record<string, string>>();
  const stop = new AbortController();
  const guests = playGuests(stop.signal, async () => {
    for (const vm of await oned.vms.list({ extended: true })) {
      if (vm.lcmState !== 'RUNNING' || vm.userTemplate.FL_ROLE !== undefined) continue;
      const other = [...instead].find(([start]) => vm.name.startsWith(start))?.[1];
      await oned.vms.update(vm.id, other ?? published(vm, operator, port, authority.ca), 'merge');
    }
  });
  const environment = { ONEFLOWER_HOME: home, HOME: home };
  const runWith: Stage['runWith'] = (line, ...words) =>
    runCommandLine({ environment, folder: home, ...line }, ...words);
  return {
    home,
    driver,
    oned,
    access,
    operator,
    authority,
    instead,
    run: (...words) => runWith({}, ...words),
    runWith,
    async close() {
      stop.abort();
      await guests;
      await cloud.close();
      await operator.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function playGuests(signal: AbortSignal, look: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await look();
    await new Promise(resolve => setTimeout(resolve, lookEveryMs));
  }
}

/** READY goes last in the text, as the agent writes it. */
function published(vm: Vm, operator: OperatorServer, port: number, ca: string): Record<string, string> {
  const common = { FL_VERSION: '1.41.0', FL_READY: 'YES', READY: 'YES' };
  if (vm.roleName !== roleNames.superlink) {
    return { FL_ROLE: 'supernode', FL_NODE_READY: 'YES', FL_NODE_ID: String(vm.id), FL_PARTITION_ID: '0', ...common };
  }
  const context = vm.template.CONTEXT;
  const hash = typeof context === 'object' && !Array.isArray(context) ? context.FL_OPERATOR_TOKEN_HASH : undefined;
  operator.tokenHash = typeof hash === 'string' ? hash : '';
  return {
    FL_ROLE: 'superlink',
    FL_ENDPOINT: `${operatorHost}:9092`,
    FL_CONTROL_ENDPOINT: `${operatorHost}:${port}`,
    FL_TLS: 'YES',
    FL_CA_CERT: Buffer.from(ca).toString('base64'),
    FL_JOIN_TOKEN: 'join-token-0123456789',
    ...common,
  };
}
