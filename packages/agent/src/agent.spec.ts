import type * as FileSystem from 'node:fs/promises';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultFlowerVersion, FakeClock, type OneFlowerError } from '@oneflower/contract';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Agent } from './agent.ts';
import { type BootSurroundings, runSteps, untilAborted } from './boot/engine.ts';
import type { BootStep } from './boot/step.ts';
import { failure } from './failure.ts';
import { Guest } from './guest.ts';
import { createEventHub } from './journal/event-hub.ts';
import { layoutOf } from './layout.ts';
import { ensureNodeKey } from './node-key.ts';
import type { RoleMachine } from './role.ts';
import { createSupervisor } from './supervision/supervisor.ts';
import { keptLog } from './testing/log.ts';
import { fakeOneGate } from './testing/onegate.ts';
import { fakeSoftware } from './testing/software.ts';
import { temporaryFolder } from './testing/temporary.ts';

/** Files that cannot be opened at present, by a part of their path. */
const full = vi.hoisted(() => ({ path: undefined as string | undefined }));

vi.mock('node:fs/promises', async original => {
  const real = await original<typeof FileSystem>();
  const open: typeof real.open = async (path, ...rest) => {
    if (full.path === undefined || !String(path).includes(full.path)) return real.open(path, ...rest);
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  };
  return { ...real, open };
});

afterEach(() => {
  full.path = undefined;
});

/** A role whose boot is one step that a test decides on. */
class TestRole implements RoleMachine {
  readonly role = 'supernode';
  boots = 0;
  stopped = false;
  /** What the watchdog has begun takes until then. */
  endOfWatch = Promise.resolve();
  #guest: Guest;
  #run: (guest: Guest) => Promise<void>;

  constructor(guest: Guest, run: (guest: Guest) => Promise<void>) {
    this.#guest = guest;
    this.#run = run;
  }

  async boot(surroundings: BootSurroundings, signal: AbortSignal) {
    this.boots++;
    const step: BootStep<TestRole> = {
      ...{ name: 'test', does: 'Tests.', deadlineSeconds: 10, retry: 'never', failure: 'fatal' },
      ...{ code: 'state_write_failed', run: () => this.#run(this.#guest) },
    };
    const outcome = await runSteps([step], this, surroundings, signal);
    if (outcome.ready) await this.#guest.publish({ FL_READY: 'YES', FL_ERROR: '' });
    return outcome;
  }

  async watch(signal: AbortSignal): Promise<void> {
    await untilAborted(signal).catch(() => undefined);
    await this.endOfWatch;
    signal.throwIfAborted();
  }

  async stop(): Promise<void> {
    this.stopped = true;
  }
}

async function world(run: (guest: Guest) => Promise<void>) {
  const folder = await temporaryFolder();
  const context = join(folder, 'context');
  const gate = await fakeOneGate();
  const clock = new FakeClock();
  const { log, lines } = keptLog(clock);
  const software = await fakeSoftware(folder);
  const layout = layoutOf(join(folder, 'root'), software);
  const options = { root: layout.root, context, address: '127.0.0.1', software, flowerUser: 'nobody' };
  const writeContext = async (values: Record<string, string>) => {
    const all = { TOKEN: 'YES', ONEGATE_ENDPOINT: gate.endpoint, VMID: '7', FL_ROLE: 'supernode', ...values };
    const lines = Object.entries(all).map(([name, value]) => `${name}='${value}'\n`);
    await writeFile(join(folder, 'context/context.sh'), lines.join(''));
  };
  await mkdir(context);
  await mkdir(layout.state, { recursive: true });
  await writeFile(join(context, 'token.txt'), 'abc\n');
  await writeContext({});
  const events = await createEventHub({ file: join(layout.state, 'events.jsonl'), clock, log });
  const supervisor = createSupervisor({ clock, log, emit: events.emit, guest: layout.root, graceMs: 0 });
  const readJournal = () => Promise.resolve();
  const guest = new Guest({
    options,
    layout,
    clock,
    log,
    events,
    supervisor,
    owner: undefined,
    readJournal,
  });
  let role: TestRole | undefined;
  const agent = new Agent({
    guest,
    machineOf: made => {
      role = new TestRole(made, run);
      return role;
    },
  });
  const stop = new AbortController();
  let changed: () => void = () => undefined;
  const contextChanged = () => new Promise<void>(resolve => (changed = resolve));
  const life = agent.run({ stop: stop.signal, contextChanged }, false);
  /** Time passes, and answers over the network arrive, until a condition holds. */
  const until = async (condition: () => boolean, seconds = 300) => {
    for (let second = 0; second < seconds && !condition(); second++) {
      await new Promise(resolve => setTimeout(resolve, 20));
      if (!condition()) await clock.advance(1000);
    }
    expect(condition()).toBe(true);
  };
  const end = async () => {
    stop.abort();
    await life.catch(() => undefined);
  };
  onTestFinished(end);
  const attributes = (): Record<string, string> => Object.assign({}, ...gate.puts);
  return {
    gate,
    clock,
    lines,
    writeContext,
    until,
    end,
    life,
    attributes,
    changed: () => changed(),
    role: () => role,
    layout,
  };
}

describe('the agent', () => {
  it('withdraws first, and publishes what it has become', async () => {
    const { gate, until, attributes, end, role } = await world(async () => undefined);
    await until(() => attributes().FL_READY === 'YES');
    expect(gate.puts[0]).toMatchObject({ FL_READY: 'NO', READY: 'NO' });
    await end();
    expect(role()?.stopped).toBe(true);
    expect(attributes().FL_READY).toBe('NO');
  });

  it('publishes why it is not ready, stays, and takes another context', async () => {
    const { until, attributes, writeContext, changed, lines } = await world(async () => undefined);
    await until(() => attributes().FL_READY === 'YES');
    await writeContext({ FL_MAX_RETRIES: 'many' });
    changed();
    await until(() => attributes().FL_ERROR === 'config_validation_failed');
    expect(attributes().FL_READY).toBe('NO');
    expect(lines.filter(line => line.includes('FL_MAX_RETRIES="many" is refused'))).toHaveLength(1);
    await writeContext({ FL_MAX_RETRIES: '3' });
    changed();
    await until(() => attributes().FL_READY === 'YES');
    expect(attributes().FL_ERROR).toBe('');
  });

  it('runs in the environment of ML_FRAMEWORK, or says that it is not there', async () => {
    const { until, attributes, writeContext, changed, layout } = await world(async () => undefined);
    await until(() => attributes().FL_READY === 'YES');
    await writeContext({ ML_FRAMEWORK: 'pytorch' });
    changed();
    await until(() => attributes().FL_ERROR === 'framework_missing');
    const { versions } = layout.software;
    await cp(join(versions, defaultFlowerVersion), join(versions, `${defaultFlowerVersion}-pytorch`), {
      recursive: true,
    });
    changed();
    await until(() => attributes().FL_READY === 'YES');
    expect(attributes().FL_ERROR).toBe('');
  });

  it('boots again only when the watchdog has ended what it does', async () => {
    const { until, attributes, changed, role } = await world(async () => undefined);
    await until(() => attributes().FL_READY === 'YES');
    const watching = Promise.withResolvers<void>();
    Object.assign(role() ?? {}, { endOfWatch: watching.promise });
    changed();
    await new Promise(resolve => setTimeout(resolve, 100));
    expect(role()?.boots).toBe(1);
    expect(attributes().FL_READY).toBe('YES');
    watching.resolve();
    await until(() => role()?.boots === 2);
  });

  it('makes one thing of two quick changes of the context, where the step at work heeds no signal', async () => {
    const making: PromiseWithResolvers<void>[] = [];
    const { until, attributes, changed } = await world(() => {
      const made = Promise.withResolvers<void>();
      making.push(made);
      return made.promise;
    });
    await until(() => making.length === 1);
    for (let change = 0; change < 2; change++) {
      changed();
      await new Promise(resolve => setTimeout(resolve, 50));
    }
    expect(making).toHaveLength(1);
    making[0]?.resolve();
    await until(() => making.length === 2);
    making[1]?.resolve();
    await until(() => attributes().FL_READY === 'YES');
    expect(making).toHaveLength(2);
  });

  it('ends where a step of an aborted boot never ends, so that it is started afresh', async () => {
    const { until, changed, role, life } = await world(() => new Promise(() => undefined));
    const ended = expect(life).rejects.toMatchObject({ code: 'boot-step-hangs' });
    await until(() => role()?.boots === 1);
    changed();
    let over = false;
    void ended.then(() => (over = true));
    await until(() => over);
    expect(role()?.boots).toBe(1);
  });

  it('withdraws at once when it is told to end, before Flower has ended', async () => {
    const { until, attributes, end, role } = await world(async () => undefined);
    await until(() => attributes().FL_READY === 'YES');
    const stopping = Promise.withResolvers<void>();
    Object.assign(role() ?? {}, { stop: () => stopping.promise });
    const ended = end();
    await expect.poll(() => attributes().FL_READY).toBe('NO');
    stopping.resolve();
    await ended;
  });

  it('withdraws what the role has published in an earlier life', async () => {
    const { gate, until } = await world(async () => undefined);
    await until(() => gate.puts.length > 0);
    expect(gate.puts[0]).toMatchObject({ FL_READY: 'NO', FL_NODE_READY: 'NO', FL_ROLE: 'supernode' });
  });

  it('goes on saying why while it tries again', async () => {
    const { gate, until, role } = await world(async () => Promise.reject(failure('port_taken', 'Port 9092 is taken.')));
    await until(() => (role()?.boots ?? 0) >= 3);
    const errors = gate.puts.flatMap(({ FL_ERROR }) => FL_ERROR ?? []);
    expect(errors).toEqual(['', 'port_taken']);
  });

  it('tries again after a failure that nobody foresaw', async () => {
    let broken = true;
    const { until, attributes } = await world(async () => {
      if (broken) throw new TypeError('undefined is not a function');
    });
    await until(() => attributes().FL_ERROR === 'state_write_failed');
    broken = false;
    await until(() => attributes().FL_READY === 'YES');
  });

  it('does not try again by itself what a person has to correct', async () => {
    const wrong = failure('trust_missing', 'No CA.', { fault: 'user' });
    const { until, attributes, clock, role } = await world(async () => Promise.reject(wrong));
    await until(() => attributes().FL_ERROR === 'trust_missing');
    await clock.advance(600_000);
    expect(role()?.boots).toBe(1);
  });

  it('tries again, ever more slowly, what may pass', async () => {
    let error: OneFlowerError | undefined = failure('port_taken', 'Port 9092 is taken.');
    const { until, attributes, role } = await world(async () => {
      if (error) throw error;
    });
    await until(() => attributes().FL_ERROR === 'port_taken');
    await until(() => (role()?.boots ?? 0) >= 3);
    error = undefined;
    await until(() => attributes().FL_READY === 'YES');
  });

  it('recovers from a full disk', async () => {
    const { until, attributes, layout } = await world(async guest => void (await ensureNodeKey(guest.layout.nodeKey)));
    full.path = 'node.key';
    await mkdir(layout.certs, { recursive: true });
    await until(() => attributes().FL_ERROR === 'state_write_failed');
    const text = Buffer.from(attributes().FL_ERROR_TEXT ?? '', 'base64').toString();
    expect(text).toContain('ENOSPC: no space left on device');
    expect(text).toContain('Free space');
    full.path = undefined;
    await until(() => attributes().FL_READY === 'YES');
  });

  it('says why the context cannot be read, and reads it when it is there', async () => {
    const { until, attributes, lines, writeContext, changed } = await world(async () => undefined);
    await until(() => attributes().FL_READY === 'YES');
    await writeContext({ "x'": '' });
    changed();
    await until(() => lines.some(line => line.includes("Line 5 of context.sh is not NAME='value'.")));
    await until(() => attributes().FL_ERROR === 'context_unreadable');
    await writeContext({});
    await until(() => attributes().FL_READY === 'YES');
  });
});
