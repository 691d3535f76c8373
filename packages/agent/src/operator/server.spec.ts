import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { open, writeFile } from 'node:fs/promises';
import type http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import {
  FakeClock,
  type ModelManifest,
  OneFlowerError,
  type RunSummary,
  type SuperLinkStatus,
} from '@oneflower/contract';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort, until } from '../flower-control/testing.ts';
import { ask, type Bench, makeBench, startUpstream } from '../gate/testing.ts';
import { createOperatorApi, type OperatorApi, type OperatorApiOptions, type OperatorSource } from './index.ts';

const token = 'operator-token';
const tokenHash = createHash('sha256').update(token).digest('hex');
const authorization = `Bearer ${token}`;
const status = { flowerVersion: '1.41.0', nodes: [] } as unknown as SuperLinkStatus;
const run = { runId: '17', app: 'app', status: 'running' } as unknown as RunSummary;

let bench: Bench;
let upstream: Awaited<ReturnType<typeof startUpstream>>;
let seen: { url: string; headers: http.IncomingHttpHeaders }[];
let api: OperatorApi;
let port: number;
let submitted: { bytes: number; sha256: string; runConfig: readonly string[]; from?: unknown } | undefined;
let waiting: AbortSignal | undefined;
let model: string | undefined;
let asked: unknown[];
const clock = new FakeClock();

const source: OperatorSource = {
  status: async () => status,
  runs: async () => [run],
  async submit(archive: Readable, runConfig, from) {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const part of archive) {
      hash.update(part as Buffer);
      bytes += (part as Buffer).length;
    }
    submitted = { bytes, sha256: hash.digest('hex'), runConfig, ...(from ? { from } : {}) };
    return run;
  },
  async resume(runId, round) {
    return { ...run, runId: '18', continues: runId, checkpoint: round ?? null };
  },
  checkpoints: async runId => [{ round: Number(runId), bytes: 1, savedAt: '', best: true, final: false, metrics: {} }],
  history: async () => ({ run, settings: {}, rounds: [] }),
  async stop(runId) {
    if (runId === '17') return;
    throw new OneFlowerError({ code: 'run-unknown', message: `There is no run ${runId}.`, remedy: 'List the runs.' });
  },
  logs: async (_, after) => ({ text: `from ${after}`, next: after + 5, ended: false }),
  async events(after, waitMs, signal) {
    if (waitMs > 0) {
      waiting = signal;
      await once(signal, 'abort');
    }
    return { events: [], next: after };
  },
  models: async () => [],
  model: async (runId, which) => ({ runId, details: { which } }) as unknown as ModelManifest,
  async modelFile(runId, which, format) {
    if (model === undefined) throw new OneFlowerError({ code: 'model-unknown', message: 'None.', fault: 'user' });
    asked = [runId, which, format];
    const file = await open(model);
    return { file, bytes: 6, sha256: 'abc', ending: '.npz', close: () => file.close() };
  },
};

beforeAll(async () => {
  bench = await makeBench();
  upstream = await startUpstream(bench.tls, (request, response) => {
    seen.push({ url: request.url ?? '', headers: request.headers });
    request.pipe(response);
  });
});

beforeEach(async () => {
  seen = [];
  submitted = undefined;
  waiting = undefined;
  model = undefined;
  await start();
});

afterEach(() => api.close());

afterAll(async () => {
  await upstream.stop();
  await bench.remove();
});

async function start(changed: Partial<OperatorApiOptions> = {}): Promise<void> {
  port = await freePort();
  const flowerControl = { host: '127.0.0.1', port: upstream.port, caPem: bench.tls.caPem };
  const options = { listen: { host: '127.0.0.1', port }, tls: bench.tls, tokenHash, source, flowerControl, ...changed };
  api = createOperatorApi(options, clock);
  await api.listen();
}

async function call(path: string, options: https.RequestOptions & { body?: string | Buffer } = {}) {
  return await ask(port, path, { ca: bench.tls.caPem, ...options, headers: { authorization, ...options.headers } });
}

describe('who may ask', () => {
  it('is who has the token, for every path, Flower included', async () => {
    for (const path of ['/v1/operator/status', '/v1/control/start-run', '/v1/operator/nothing', '/']) {
      for (const wrong of ['', 'Bearer other', `Basic ${token}`]) {
        const answer = await call(path, { headers: { authorization: wrong } });
        expect([path, answer.status]).toEqual([path, 401]);
        await clock.advance(20_000);
      }
    }
    expect(seen).toEqual([]);
    expect(await call('/v1/operator/status')).toMatchObject({ status: 200, body: JSON.stringify(status) });
  });

  it('is nobody where no token is known', async () => {
    for (const none of [undefined, '', 'abc']) {
      await api.close();
      await start({ tokenHash: none });
      const answer = await call('/v1/operator/status');
      expect(answer.status).toBe(403);
      expect(JSON.parse(answer.body).error).toMatchObject({ code: 'no-token', remedy: expect.any(String) });
    }
  });

  it('is the operator also while wrong tokens come from the same address, which are told to stop', async () => {
    const wrong = { headers: { authorization: 'Bearer of-another-service' } };
    for (let index = 0; index < 20; index++) expect((await call('/v1/operator/status', wrong)).status).toBe(401);
    const refused = await call('/v1/operator/status', wrong);
    expect(refused.status).toBe(429);
    expect(JSON.parse(refused.body).error).toMatchObject({
      code: 'too-many-wrong-tokens',
      remedy: expect.stringContaining('wait a minute'),
    });
    expect((await call('/v1/operator/status')).status).toBe(200);
  });

  it('cannot be found out by trying', async () => {
    for (let index = 0; index < 200; index++)
      await call('/v1/operator/status', { headers: { authorization: `Bearer ${index}` } });
    expect((await call('/v1/operator/status')).status).toBe(429);
    await clock.advance(60_000);
    expect((await call('/v1/operator/status')).status).toBe(200);
  });
});

describe('runs', () => {
  it('are listed, stopped and their logs read', async () => {
    expect(JSON.parse((await call('/v1/operator/runs')).body)).toEqual({ runs: [run] });
    expect((await call('/v1/operator/runs/17/stop', { method: 'POST' })).status).toBe(200);
    const unknown = await call('/v1/operator/runs/18/stop', { method: 'POST' });
    expect([unknown.status, JSON.parse(unknown.body).error.remedy]).toEqual([404, 'List the runs.']);
    expect(JSON.parse((await call('/v1/operator/runs/17/logs?after=7')).body)).toEqual({
      text: 'from 7',
      next: 12,
      ended: false,
    });
    expect((await call('/v1/operator/runs/17/logs?after=-1')).status).toBe(400);
    expect((await call('/v1/operator/runs/..%2f17/logs')).status).toBe(404);
    expect((await call('/v1/operator/status', { body: '' })).status).toBe(405);
  });

  it('are submitted by streaming the app, with overrides', async () => {
    const archive = randomBytes(3_000_000);
    const path = '/v1/operator/runs?run-config=num-server-rounds%3D5&run-config=name%3D%22a%20b%22';
    expect(await call(path, { body: archive })).toMatchObject({ status: 200, body: JSON.stringify(run) });
    const sha256 = createHash('sha256').update(archive).digest('hex');
    expect(submitted).toEqual({ bytes: archive.length, sha256, runConfig: ['num-server-rounds=5', 'name="a b"'] });
    expect((await call('/v1/operator/runs?run-config=x', { body: archive })).status).toBe(400);
  });

  it('begin with a checkpoint that is named', async () => {
    for (const [from, choice] of [
      ['17', { runId: '17' }],
      ['17/6', { runId: '17', round: 6 }],
    ]) {
      expect((await call(`/v1/operator/runs?from=${from}`, { body: 'app' })).status).toBe(200);
      expect(submitted?.from).toEqual(choice);
    }
    for (const from of ['', 'x', '17/', '17/x', '../17']) {
      expect((await call(`/v1/operator/runs?from=${from}`, { body: 'app' })).status, from).toBe(400);
    }
  });

  it('go on when they are told to, and tell what they have', async () => {
    const resumed = await call('/v1/operator/runs/17/resume?checkpoint=6', { method: 'POST' });
    expect(JSON.parse(resumed.body)).toMatchObject({ runId: '18', continues: '17', checkpoint: 6 });
    expect((await call('/v1/operator/runs/17/resume?checkpoint=last', { method: 'POST' })).status).toBe(400);
    const { checkpoints } = JSON.parse((await call('/v1/operator/runs/17/checkpoints')).body);
    expect(checkpoints).toMatchObject([{ round: 17, best: true }]);
    expect(JSON.parse((await call('/v1/operator/runs/17/history')).body)).toEqual({ run, settings: {}, rounds: [] });
  });

  it('are refused when larger than 256 MiB, announced or not', async () => {
    const options = { host: '127.0.0.1', port, path: '/v1/operator/runs', method: 'POST', ca: bench.tls.caPem };
    const announced = https.request({ ...options, headers: { authorization, 'content-length': 257 * 1024 * 1024 } });
    announced.on('error', () => undefined).flushHeaders();
    const [answer] = (await once(announced, 'response')) as [http.IncomingMessage];
    expect(answer.statusCode).toBe(413);
    announced.destroy();
    const streamed = https.request({ ...options, headers: { authorization } }).on('error', () => undefined);
    streamed.setMaxListeners(0);
    const answered = once(streamed, 'response');
    const part = Buffer.alloc(1024 * 1024);
    let stopped = false;
    answered.then(() => {
      stopped = true;
    });
    // A client stops sending once it has its answer.
    for (let index = 0; index < 400 && !stopped; index++) {
      if (!streamed.write(part)) await Promise.race([once(streamed, 'drain'), answered]);
    }
    expect(((await answered) as [http.IncomingMessage])[0].statusCode).toBe(413);
    streamed.destroy();
    expect(submitted).toBeUndefined();
  });

  it('are not submitted from an upload that breaks off', async () => {
    const options = { host: '127.0.0.1', port, path: '/v1/operator/runs', method: 'POST', ca: bench.tls.caPem };
    const broken = https.request({ ...options, headers: { authorization, 'content-length': 1000 } });
    broken.on('error', () => undefined);
    broken.write('half');
    await new Promise(resolve => setTimeout(resolve, 100));
    broken.destroy();
    expect((await call('/v1/operator/status')).status).toBe(200);
    expect(submitted).toBeUndefined();
  });
});

describe('events', () => {
  it('are waited for, but not for a client that went away', async () => {
    expect(JSON.parse((await call('/v1/operator/events?after=3')).body)).toEqual({ events: [], next: 3 });
    const options = { host: '127.0.0.1', port, path: '/v1/operator/events?after=3&wait=30', ca: bench.tls.caPem };
    const request = https.get({ ...options, headers: { authorization } }).on('error', () => undefined);
    await until(() => waiting !== undefined, 5000);
    request.destroy();
    await until(() => waiting?.aborted === true, 5000);
    expect((await call('/v1/operator/events?after=x')).status).toBe(400);
  });
});

describe('models', () => {
  it('are sent as files with their digest', async () => {
    expect((await call('/v1/operator/models/17/file')).status).toBe(404);
    const path = join(bench.folder, 'model.npz');
    await writeFile(path, 'arrays');
    model = path;
    const answer = await call('/v1/operator/models/17/file');
    expect([answer.status, answer.body, answer.headers['content-length'], answer.headers['x-sha256']]).toEqual([
      200,
      'arrays',
      '6',
      'abc',
    ]);
    expect(asked).toEqual(['17', 'final', 'npz']);
    for (const which of ['best', '4']) await call(`/v1/operator/models/17/file?which=${which}&format=pt`);
    expect(asked).toEqual(['17', 4, 'pt']);
    expect((await call('/v1/operator/models/17/file?which=../1')).status).toBe(400);
    expect((await call('/v1/operator/models/17/file?format=exe')).status).toBe(400);
    expect((await call('/v1/operator/models/../../etc/passwd/file')).status).toBe(404);
  });

  it('are described', async () => {
    const said = JSON.parse((await call('/v1/operator/models/17?which=best')).body);
    expect(said).toEqual({ runId: '17', details: { which: 'best' } });
  });
});

describe("Flower's Control API", () => {
  it('is passed on without the token, and nothing else of Flower is', async () => {
    expect((await call('/v1/control/list-runs', { body: 'bytes' })).body).toBe('bytes');
    expect(seen[0]?.url).toBe('/v1/control/list-runs');
    expect(seen[0]?.headers).not.toHaveProperty('authorization');
    const others = [
      '/v1/runtime/acquire-task',
      '/v1/control/../runtime/x',
      '/v1/control/',
      '/health',
      '/v1/fleet/get-run',
    ];
    for (const path of others) expect((await call(path, { body: '' })).status, path).toBe(404);
    expect(seen).toHaveLength(1);
  });
});

describe('what fails unexpectedly', () => {
  it('is said to the log and not to the client', async () => {
    const said: string[] = [];
    await api.close();
    const broken = { ...source, status: () => Promise.reject(new TypeError('secret detail')) };
    await start({ source: broken, warn: message => said.push(message) });
    const answer = await call('/v1/operator/status');
    expect([answer.status, answer.body.includes('secret')]).toEqual([500, false]);
    expect(said.join()).toContain('secret detail');
  });
});
