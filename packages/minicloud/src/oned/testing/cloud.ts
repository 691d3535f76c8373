import { FakeClock } from '@oneflower/contract';
import type { XmlRpcValue } from '@oneflower/opennebula';
import { createDummyDriver, type DummyDriver } from '../../drivers/dummy.ts';
import type { VmEvent } from '../../interfaces.ts';
import { createOned, type EmbeddedOned, type OnedOptions } from '../index.ts';

/** A small embedded cloud for tests: one host, one image, one network, one VM template, no waiting in real time. */
export interface TestCloud {
  oned: EmbeddedOned;
  driver: DummyDriver;
  clock: FakeClock;
  events: VmEvent[];
  /** The value of a call as the administrator; throws when it is refused. */
  call(method: string, ...args: XmlRpcValue[]): XmlRpcValue;
  /** The refusal of a call as the administrator; throws when it succeeds. */
  refusal(method: string, ...args: XmlRpcValue[]): string;
  /** Lets the scheduler, the driver and the monitor do what is due. */
  settle(): Promise<void>;
  /** STATE/LCM_STATE of a VM. */
  stateOf(vmId: number): string;
  /** The text of an element of a VM. */
  textOf(vmId: number, element: string): string | undefined;
  /** Makes a VM and returns its id. */
  vm(extra?: string, hold?: boolean): number;
}

/** The administrator's session in a test cloud. */
export const session = 'oneadmin:secret';

const template = [
  'NAME="base"',
  'CPU="1"',
  'MEMORY="512"',
  'DISK=[IMAGE_ID="0"]',
  'NIC=[NETWORK_ID="0"]',
  'CONTEXT=[TOKEN="YES",NETWORK="YES",WORD="$WORD"]',
].join('\n');

/** Opens a cloud on a state file, fresh or not; what it lacks is made. */
export async function openTestCloud(options: Partial<OnedOptions> & { driver?: DummyDriver } = {}): Promise<TestCloud> {
  const driver = options.driver ?? createDummyDriver();
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  const oned = createOned({
    file: ':memory:',
    clock,
    admin: { name: 'oneadmin', password: 'secret' },
    ...options,
    driver,
  });
  const events: VmEvent[] = [];
  oned.onVmEvent(event => events.push(event));
  const cloud = testCloud({ oned, driver, clock, events });
  if (!String(cloud.call('one.hostpool.info')).includes('<HOST>')) {
    cloud.call('one.host.allocate', 'node', 'dummy', 'dummy', -1);
    cloud.call('one.datastore.allocate', 'NAME="images"\nDS_MAD="dummy"\nTM_MAD="dummy"', -1);
    cloud.call('one.image.allocate', 'NAME="disk"\nPATH="/x"', 100, false);
    cloud.call('one.vn.allocate', 'NAME="net"\nVN_MAD="dummy"\nAR=[TYPE="IP4",IP="10.0.0.5",SIZE="3"]', -1);
    cloud.call('one.template.allocate', template);
  }
  await cloud.settle();
  return cloud;
}

function testCloud(parts: Pick<TestCloud, 'oned' | 'driver' | 'clock' | 'events'>): TestCloud {
  const { oned, clock } = parts;
  function call(method: string, ...args: XmlRpcValue[]): XmlRpcValue {
    const answer = oned.call(session, method, ...args);
    if (!answer.ok) throw new Error(answer.message);
    return answer.value;
  }
  function textOf(vmId: number, element: string): string | undefined {
    const xml = String(call('one.vm.info', vmId));
    return new RegExp(`<${element}>(?:<!\\[CDATA\\[)?(.*?)(?:\\]\\]>)?</${element}>`, 's').exec(xml)?.[1];
  }
  return {
    ...parts,
    call,
    textOf,
    refusal(method, ...args) {
      const answer = oned.call(session, method, ...args);
      if (answer.ok) throw new Error(`${method} was not refused.`);
      return answer.message;
    },
    settle: () => clock.advance(100),
    stateOf: vmId => `${textOf(vmId, 'STATE')}/${textOf(vmId, 'LCM_STATE')}`,
    vm: (extra = '', hold = false) => Number(call('one.template.instantiate', 0, '', hold, extra, false)),
  };
}
