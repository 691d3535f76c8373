import { FakeClock, systemClock } from '@oneflower/contract';
import { afterEach, describe, expect, it } from 'vitest';
import { createOnedClient } from '../oned/index.ts';
import { createOneflowClient } from '../oneflow/index.ts';
import { createOnegateClient } from '../onegate/index.ts';
import { recording } from '../testing/recordings.ts';
import { type Answering, freePort, startServer, type TestServer } from '../testing/server.ts';

const RETRY = { attempts: 4, firstDelayMs: 500, maxDelayMs: 1500 };
let server: TestServer | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(answer: Answering): Promise<TestServer> {
  server = await startServer(answer);
  return server;
}

/** A deadline that no fake clock reaches while a real answer is on its way. */
const NEVER = 2 ** 31 - 1;

function gate(url: string, more: { clock?: FakeClock; signal?: AbortSignal; timeoutMs?: number } = {}) {
  return createOnegateClient({
    endpoint: url,
    token: 't',
    vmId: 0,
    retry: RETRY,
    random: () => 1,
    timeoutMs: NEVER,
    ...more,
  });
}

function flow(url: string, clock: FakeClock) {
  return createOneflowClient({ url, session: 'a:b', clock, timeoutMs: NEVER });
}

/** The first `fails` answers are `bad`, then `good`. */
function after(
  fails: number,
  bad: { status: number; body: string },
  good: { status: number; body: string },
): Answering {
  let count = 0;
  return () => (count++ < fails ? bad : good);
}

/** Lets what is under way happen until `done`, moving `clock` on only when it is asked for time. */
async function drive(clock: FakeClock, done: () => boolean): Promise<void> {
  const end = Date.now() + 10_000;
  while (!done()) {
    if (Date.now() > end) throw new Error('it never came to an end');
    await new Promise(resolve => setImmediate(resolve));
    await clock.advance(10);
  }
}

async function settled<Result>(clock: FakeClock, promise: Promise<Result>) {
  let outcome: { value: Result } | { error: unknown } | undefined;
  promise.then(
    value => {
      outcome = { value };
    },
    (error: unknown) => {
      outcome = { error };
    },
  );
  await drive(clock, () => outcome !== undefined);
  return outcome;
}

const VM = { status: 200, body: recording('onegate', '002').responseBody };
const DENIED = { status: 401, body: 'Not authorized' };

describe('retries', () => {
  it('repeats a read after a 401, which a stopped oned gives too, with growing waits', async () => {
    const clock = new FakeClock(0);
    const { url, seen } = await start(after(2, DENIED, VM));
    expect(await settled(clock, gate(url, { clock }).vm())).toMatchObject({ value: { name: 'vm-a' } });
    expect(seen).toHaveLength(3);
    expect(clock.now()).toBeGreaterThanOrEqual(500 + 1000);
    expect(clock.waiting).toBe(0);
  });

  it('gives up after the last try, and says that it may pass', async () => {
    const clock = new FakeClock(0);
    const { url, seen } = await start(() => DENIED);
    expect(await settled(clock, gate(url, { clock }).vm())).toMatchObject({
      error: { code: 'onegate-unauthenticated', transient: true, reason: expect.stringContaining('oned is down') },
    });
    expect(seen).toHaveLength(4);
    expect(clock.now()).toBeGreaterThanOrEqual(500 + 1000 + 1500);
  });

  it('repeats a read after garbage and after 502', async () => {
    const clock = new FakeClock(0);
    const { url, seen } = await start(after(1, { status: 200, body: '{"VM":' }, VM));
    expect(await settled(clock, gate(url, { clock }).vm())).toHaveProperty('value');
    expect(seen).toHaveLength(2);
    await server?.close();
    const second = await start(after(1, { status: 502, body: '<html></html>' }, VM));
    expect(await settled(clock, gate(second.url, { clock }).vm())).toHaveProperty('value');
  });

  it('never repeats a write that was sent', async () => {
    const clock = new FakeClock(0);
    const { url, seen } = await start(() => DENIED);
    expect(await settled(clock, gate(url, { clock }).publish({ A: '1' }))).toMatchObject({
      error: { code: 'onegate-unauthenticated' },
    });
    expect(await settled(clock, flow(url, clock).services.delete(1))).toHaveProperty('error');
    expect(seen).toHaveLength(2);
  });

  it('never repeats what is final', async () => {
    const clock = new FakeClock(0);
    const { url, seen } = await start(() => ({ status: 404, body: '[one.document.info] Error getting document [9].' }));
    expect(await settled(clock, flow(url, clock).services.get(9))).toMatchObject({
      error: { code: 'oneflow-not-found' },
    });
    expect(seen).toHaveLength(1);
  });

  it('repeats even a write when nothing listened', async () => {
    const clock = new FakeClock(0);
    const url = `http://127.0.0.1:${await freePort()}`;
    expect(await settled(clock, gate(url, { clock }).publish({ A: '1' }))).toMatchObject({
      error: { code: 'onegate-unreachable', words: expect.stringContaining('ECONNREFUSED') },
    });
    expect(clock.now()).toBeGreaterThanOrEqual(3000);
  });

  it('does not repeat a write whose connection broke', async () => {
    const clock = new FakeClock(0);
    const { url, seen } = await start((_request, response) => {
      response.destroy();
      return undefined;
    });
    expect(await settled(clock, gate(url, { clock }).publish({ A: '1' }))).toMatchObject({
      error: { code: 'onegate-interrupted' },
    });
    expect(seen).toHaveLength(1);
  });
});

describe('deadlines', () => {
  it('ends a request that hangs, at its deadline', async () => {
    const clock = new FakeClock(0);
    const { url, seen } = await start(() => undefined);
    const promise = settled(clock, gate(url, { clock, timeoutMs: 10_000 }).publish({ A: '1' }));
    expect(await promise).toMatchObject({ error: { code: 'onegate-timeout', transient: true } });
    expect(clock.now()).toBeGreaterThanOrEqual(10_000);
    expect(seen.length).toBeLessThanOrEqual(1);
  });

  it('ends an answer that never ends', async () => {
    const clock = new FakeClock(0);
    const { url } = await start((_request, response) => {
      response.writeHead(200).write('{"VM":');
      return undefined;
    });
    const client = createOnegateClient({ endpoint: url, token: 't', vmId: 0, clock, retry: { ...RETRY, attempts: 1 } });
    expect(await settled(clock, client.vm())).toMatchObject({ error: { code: 'onegate-timeout' } });
  });

  it('stops at once when the caller gives up, in a request and in a wait', async () => {
    const { url } = await start(() => undefined);
    const giveUp = new AbortController();
    const hanging = gate(url, { signal: giveUp.signal }).vm();
    giveUp.abort(new Error('enough'));
    await expect(hanging).rejects.toThrow('enough');
    const clock = new FakeClock(0);
    const waiting = new AbortController();
    const refused = gate(`http://127.0.0.1:${await freePort()}`, { clock, signal: waiting.signal }).vm();
    const outcome = expect(refused).rejects.toThrow('enough');
    while (clock.waiting === 0) await new Promise(resolve => setImmediate(resolve));
    waiting.abort(new Error('enough'));
    await outcome;
  });
});

describe('connections', () => {
  it('makes one per call, and no more than 15 at a time to oned', async () => {
    let open = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    const finishAll = (): void => {
      for (const finish of waiting.splice(0)) finish();
    };
    const { url, seen } = await start((_request, response) => {
      most = Math.max(most, ++open);
      waiting.push(() => {
        open--;
        response.writeHead(200).end(recording('xmlrpc', '001').responseBody);
      });
      if (waiting.length === 15) setImmediate(finishAll);
      return undefined;
    });
    const client = createOnedClient({ endpoint: `${url}/RPC2`, session: 'a:b', clock: systemClock });
    await Promise.all(Array.from({ length: 45 }, () => client.system.version()));
    expect(most).toBe(15);
    expect(seen).toHaveLength(45);
    expect(new Set(seen.map(request => request.headers.connection))).toEqual(new Set(['close']));
  });

  it('follows no redirect, which would carry the login elsewhere', async () => {
    const { url, seen } = await start((_request, response) => {
      response.writeHead(302, { location: '/elsewhere' }).end();
      return undefined;
    });
    const flow = createOneflowClient({ url, session: 'a:b' });
    await expect(flow.services.get(1)).rejects.toMatchObject({ code: 'oneflow-garbled', status: 302 });
    expect(seen).toHaveLength(1);
  });

  it('refuses an answer without end', async () => {
    const chunk = 'x'.repeat(8 * 1024 * 1024);
    const { url } = await start((_request, response) => {
      response.writeHead(200);
      const pump = (): void => {
        if (!response.destroyed) response.write(chunk, () => pump());
      };
      pump();
      return undefined;
    });
    const flow = createOneflowClient({ url, session: 'a:b', retry: { ...RETRY, attempts: 1 } });
    await expect(flow.services.get(1)).rejects.toMatchObject({
      code: 'oneflow-interrupted',
      words: expect.stringContaining('more than'),
    });
  });
});
