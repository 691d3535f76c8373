import { type Clock, FakeClock } from '@oneflower/contract';
import type { Oned, VmDriver } from '../../interfaces.ts';
import type { EmbeddedOned } from '../../oned/index.ts';
import { createOned } from '../../oned/index.ts';
import { createOneFlow, type OneFlow } from '../index.ts';
import type { JsonObject } from '../json.ts';
import { StandIn } from './stand-in.ts';

export const admin = { name: 'oneadmin', password: 'throwaway-admin-1' };
export const tester = { name: 'tester', password: 'throwaway-tester-1' };
/** When the recordings were made. */
const START_MS = 1_795_452_820_000;

/** A driver for a core whose VMs are not used. */
const idleDriver: VmDriver = {
  name: 'idle',
  deploy: async () => undefined,
  shutdown: async () => undefined,
  reboot: async () => undefined,
  recontext: async () => undefined,
  destroy: async () => undefined,
  isRunning: async () => false,
};

/** A OneFlow over a core with two users and the VM templates 0 to 3, and VMs that the test moves. */
export interface Bench {
  clock: FakeClock;
  core: EmbeddedOned;
  cloud: StandIn;
  flow: OneFlow;
  faults: unknown[];
  /** The OneFlow ends as by `kill -9` and another one takes over. */
  restart(): OneFlow;
  /** One request; bodies are JSON text or objects. */
  ask(method: string, path: string, body?: string | JsonObject, user?: { name: string; password: string }): Answer;
  close(): Promise<void>;
}

export interface Answer {
  status: number;
  body: string;
  json(): JsonObject;
}

export function sessionText(user: { name: string; password: string }): string {
  return `${user.name}:${user.password}`;
}

/** Time and cloud for one life of a OneFlow: when it is over, timers and calls lead nowhere, as after `kill -9`. */
function connect(cloud: Oned, clock: Clock, lifeline: { alive: boolean }): { oned: Oned; clock: Clock } {
  return {
    oned: {
      call: (session, method, ...args) =>
        lifeline.alive
          ? cloud.call(session, method, ...args)
          : { ok: false, message: 'gone', errno: 8192, objectId: -1 },
      onVmEvent: listener => cloud.onVmEvent(event => lifeline.alive && listener(event)),
      gateSecret: id => cloud.gateSecret(id),
    },
    clock: { now: () => clock.now(), after: (ms, run) => clock.after(ms, () => lifeline.alive && run()) },
  };
}

export function createBench(options: { bootMs?: number; firstVmId?: number } = {}): Bench {
  const clock = new FakeClock(START_MS);
  const core = createOned({ file: ':memory:', clock, driver: idleDriver, admin, gateToken: () => '' });
  const cloud = new StandIn({ core, clock, ...options });
  const faults: unknown[] = [];
  for (let number = 0; number < 4; number++) {
    core.call(sessionText(admin), 'one.template.allocate', `NAME="t${number}"\nCPU="1"\nMEMORY="64"`);
  }
  core.call(sessionText(admin), 'one.user.allocate', tester.name, tester.password, 'core', [1]);
  let lifeline = { alive: true };
  const make = () =>
    createOneFlow({
      ...connect(cloud, clock, lifeline),
      sessionOf: id => sessionText(id === 0 ? admin : tester),
      onFault: error => faults.push(error),
    });
  const bench: Bench = {
    clock,
    core,
    cloud,
    flow: make(),
    faults,
    restart() {
      lifeline.alive = false;
      lifeline = { alive: true };
      bench.flow = make();
      bench.flow.resume();
      return bench.flow;
    },
    ask(method, path, body = '', user = admin) {
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      const authorization = `Basic ${Buffer.from(sessionText(user)).toString('base64')}`;
      const answer = bench.flow.handle({ method, path, headers: { authorization }, body: text });
      return { ...answer, json: () => JSON.parse(answer.body) as JsonObject };
    },
    async close() {
      await bench.flow.close();
      core.close();
    },
  };
  return bench;
}
