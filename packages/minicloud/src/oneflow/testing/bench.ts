import { type Clock, FakeClock } from '@oneflower/contract';
import type { Oned } from '../../interfaces.ts';
import { createOned, type EmbeddedOned } from '../../oned/index.ts';
import { createOneFlow, type OneFlow } from '../index.ts';
import type { JsonObject } from '../json.ts';
import { createWishfulDriver, DummyCloud } from './dummy-cloud.ts';
import { StandIn } from './stand-in.ts';

export const admin = { name: 'oneadmin', password: 'throwaway-admin-1' };
export const tester = { name: 'tester', password: 'throwaway-tester-1' };
/** When the recordings were made. */
const START_MS = 1_795_452_820_000;

/** A OneFlow over a core with two users and the VM templates 0 to 3. */
export interface Bench<C extends Oned = StandIn> {
  clock: FakeClock;
  core: EmbeddedOned;
  cloud: C;
  flow: OneFlow;
  faults: unknown[];
  /** The OneFlow ends as by `kill -9`, now or after so many more calls to oned: what it has not written is lost. */
  kill(calls?: number): void;
  /** Whether it lives. */
  alive(): boolean;
  /** Another OneFlow takes over. */
  start(): void;
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

/** With VMs that the test moves by hand. */
export function createBench(options: { bootMs?: number; firstVmId?: number } = {}): Bench {
  const clock = new FakeClock(START_MS);
  const core = createCore(clock, createWishfulDriver());
  return equip(clock, core, new StandIn({ core, clock, ...options }));
}

/** With the real core's VMs and the dummy driver: one host, network 1, network template 0. */
export async function createDummyBench(options: { delayMs?: number; file?: string } = {}): Promise<Bench<DummyCloud>> {
  const clock = new FakeClock(START_MS);
  const driver = createWishfulDriver();
  const core = createCore(clock, driver, options);
  core.setNextId('network', 1);
  const session = sessionText(admin);
  const range = 'AR=[TYPE="IP4", IP="10.20.0.10", SIZE="2000"]';
  for (const [method, ...args] of [
    ['one.host.allocate', 'host01', 'dummy', 'dummy', -1],
    ['one.vn.allocate', `NAME="fl-private"\nVN_MAD="dummy"\nBRIDGE="br0"\n${range}`, -1],
    ['one.vntemplate.allocate', `NAME="vnt"\nVN_MAD="dummy"\nBRIDGE="br0"\n${range}`],
  ] as const) {
    const answer = core.call(session, method, ...args);
    if (!answer.ok) throw new Error(answer.message);
  }
  await clock.advance(10_000);
  return equip(clock, core, new DummyCloud(core, session, driver));
}

function createCore(
  clock: Clock,
  { driver }: ReturnType<typeof createWishfulDriver>,
  options: { delayMs?: number; file?: string } = {},
): EmbeddedOned {
  const core = createOned({ file: ':memory:', clock, driver, admin, gateToken: () => '', ...options });
  for (let number = 0; number < 4; number++) {
    core.call(sessionText(admin), 'one.template.allocate', `NAME="t${number}"\nCPU="0.1"\nMEMORY="64"`);
  }
  core.call(sessionText(admin), 'one.user.allocate', tester.name, tester.password, 'core', [1]);
  return core;
}

function equip<C extends Oned>(clock: FakeClock, core: EmbeddedOned, cloud: C): Bench<C> {
  const faults: unknown[] = [];
  let lifeline: Lifeline = { calls: Number.POSITIVE_INFINITY };
  const make = () =>
    createOneFlow({
      ...connect(cloud, clock, lifeline),
      sessionOf: id => core.sessionOf(id) ?? '',
      onFault: error => bench.alive() && faults.push(error),
    });
  const bench: Bench<C> = {
    clock,
    core,
    cloud,
    flow: make(),
    faults,
    kill(calls = 0) {
      lifeline.calls = calls;
    },
    alive: () => lifeline.calls > 0,
    start() {
      lifeline = { calls: Number.POSITIVE_INFINITY };
      bench.flow = make();
      bench.flow.resume();
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

/** One life of a OneFlow: how many calls it still makes. */
interface Lifeline {
  calls: number;
}

/** Time and cloud for one life: when it is over, timers and calls lead nowhere. */
function connect(cloud: Oned, clock: Clock, lifeline: Lifeline): { oned: Oned; clock: Clock } {
  return {
    oned: {
      call(session, method, ...args) {
        if (lifeline.calls <= 0) throw new Error('This OneFlow is dead.');
        lifeline.calls -= 1;
        return cloud.call(session, method, ...args);
      },
      onVmEvent: listener => cloud.onVmEvent(event => lifeline.calls > 0 && listener(event)),
      gateSecret: id => cloud.gateSecret(id),
    },
    clock: {
      now: () => clock.now(),
      after: (ms, run) => clock.after(ms, () => lifeline.calls > 0 && run()),
    },
  };
}
