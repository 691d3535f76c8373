import { FakeClock } from '@oneflower/contract';
import { CloudFailure, type Service, type Vm } from '@oneflower/opennebula';
import type { Cloud } from '../cloud.ts';
import type { Notify, Progress } from '../notify.ts';

/** One service on a cloud that exists in memory: its state goes the way that a test lays down. */
export class FakeFlow {
  service: Service | undefined;
  readonly calls: string[] = [];
  readonly progress: Progress[] = [];
  readonly clock = new FakeClock();
  /** The servers do not answer. */
  away = false;
  vms = new Map<number, Vm>();
  /** Called after each change that is asked for. */
  onCall: (call: string) => void = () => undefined;

  constructor(service: Service) {
    this.service = service;
    for (const node of service.roles.flatMap(role => role.nodes)) this.vms.set(node.vmId, vmOf(node.vmId, node.name));
  }

  readonly notify: Notify = progress => {
    this.progress.push(progress);
  };

  /** Lets time pass in seconds until the work is done. */
  async finish<Result>(work: Promise<Result>, mostSeconds = 2000): Promise<Result> {
    let done = false;
    const settled = work.finally(() => {
      done = true;
    });
    settled.catch(() => undefined);
    for (let second = 0; second < mostSeconds && !done; second++) await this.clock.advance(1000);
    return settled;
  }

  get cloud(): Cloud {
    const act = async (call: string): Promise<void> => {
      this.calls.push(call);
      this.onCall(call);
    };
    const get = async (): Promise<Service> => {
      if (this.away) throw failure('timeout', 'GET /service/5');
      if (!this.service) throw failure('not-found', 'GET /service/5');
      return structuredClone(this.service);
    };
    return {
      access: {
        cloud: 'test',
        key: 'test',
        endpoint: 'http://oned/RPC2',
        oneflowUrl: 'http://oneflow',
        user: 'tester',
        session: 'tester:x',
      },
      oneflow: {
        services: {
          list: async () => (this.service ? [await get()] : []),
          get,
          scale: (_id: number, role: string, nodes: number) => act(`scale ${role} ${nodes}`),
          recover: () => act('recover'),
          recoverDelete: () => act('recover-delete'),
          delete: () => act('delete'),
        },
      },
      oned: {
        vms: {
          list: async () => [...this.vms.values()],
          get: async (id: number) => {
            const vm = this.vms.get(id);
            if (!vm) throw failure('not-found', 'one.vm.info');
            return vm;
          },
        },
      },
    } as unknown as Cloud;
  }
}

export function failure(kind: 'not-found' | 'wrong-state' | 'timeout', call: string): CloudFailure {
  return new CloudFailure({ server: 'oneflow', call, kind, words: kind });
}

export function serviceOf(state: Service['state'], nodes = 2): Service {
  const role = (name: string, count: number, first: number): Service['roles'][number] => ({
    name,
    state: 'RUNNING',
    cardinality: count,
    parents: [],
    minVms: 1,
    maxVms: name === 'superlink' ? 1 : 4,
    cooldown: 10,
    nodes: Array.from({ length: count }, (_, index) => ({
      vmId: first + index,
      name: `${name}_${index}_(service_5)`,
    })),
  });
  return {
    id: 5,
    name: 'flower',
    uid: 0,
    uname: 'tester',
    state,
    startTime: undefined,
    roles: [role('superlink', 1, 10), role('supernode', nodes, 11)],
    log: [],
    body: {},
  };
}

export function vmOf(id: number, name: string): Vm {
  return {
    id,
    name,
    state: 'ACTIVE',
    lcmState: 'RUNNING',
    userTemplate: {},
    nics: [],
    roleName: name.split('_')[0],
  } as unknown as Vm;
}
