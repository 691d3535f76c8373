import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { normalise } from '../testing/normalise.ts';
import { type Recording, recordedJson, recordedText, recordingsOf } from '../testing/recordings.ts';
import { scenes } from './contract-scenes.ts';
import { Stage } from './contract-stage.ts';
import { comparedWithout, excluded } from './coverage.ts';
import type { Hash, HashValue } from './vm-json.ts';

const onegate = recordingsOf('onegate');
const cli = recordingsOf('cli').filter(({ stem }) => /^\d+-onegate-/.test(stem));
const keyOf = ({ area, stem }: Recording) => `${area}/${stem}`;
const before = (stem: string) => onegate.filter(entry => entry.stem < stem);
/** In the order in which it all happened: the command line tools were recorded between two parts of `onegate/`. */
const inOrder = [...before('156'), ...cli, ...onegate.filter(entry => entry.stem >= '156')];
const replayed = inOrder.filter(entry => !(keyOf(entry) in excluded));

/** Recorded tokens that were accepted, and whose they were. */
const tokenOwners = new Map(
  [...onegate, ...cli]
    .filter(({ response }) => response.status < 400 || response.status === 404)
    .map(({ request: { headers } }) => [headers['x-onegate-token'] ?? '', Number(headers['x-onegate-vmid']) || 0]),
);

let stage: Stage;

beforeAll(async () => {
  stage = new Stage();
  await stage.gate.listen('127.0.0.1', 0);
});

afterAll(() => stage.close());

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
}

/** Sends a request with the recorded bytes of its body. */
function send(method: string, path: string, headers: Record<string, string>, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: stage.gate.port, method, path, headers };
    const outgoing = request(options, response => {
      const chunks: Buffer[] = [];
      response.on('data', chunk => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function replay({ request: { method, path, headers, raw } }: Recording): Promise<Answer> {
  const sent = { ...headers };
  const token = headers['x-onegate-token'] ?? '';
  for (const [known, owner] of tokenOwners) {
    if (known !== '' && token === known) sent['x-onegate-token'] = stage.token(owner) + token.slice(known.length);
  }
  if (token.endsWith('%0a')) sent['x-onegate-token'] = `${stage.token(0)}%0a`;
  return send(method, path, sent, raw.subarray(raw.indexOf('\r\n\r\n') + 4));
}

/** Addresses are leases of a moment, measurements and times differ with every run. */
function comparable(body: string): string {
  return normalise(body)
    .replace(/\b10\.20\.0\.\d+/g, 'IP')
    .replace(/\b02:00:0a:14:00:[0-9a-f]{2}\b/g, 'MAC')
    .replace(/"MONITORING":\{[^}]*\}/g, '"MONITORING":{}')
    .replace(/"(LAST_POLL|R?E?P?[SE]?E?TIME|REQUEST_ID)":"(TIME|0)"/g, '"$1":"TIME"');
}

function without(value: unknown, names: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map(item => without(item, names));
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).filter(([name]) => !names.includes(name));
  return Object.fromEntries(kept.map(([name, inner]) => [name, without(inner, names)]));
}

function parsed(body: string, names: readonly string[]): unknown {
  try {
    return without(JSON.parse(body), names);
  } catch {
    return body;
  }
}

describe('every recorded exchange is answered as it was', () => {
  for (const entry of replayed) {
    test(keyOf(entry), async () => {
      await scenes[keyOf(entry)]?.(stage);
      const answer = await replay(entry);
      expect(answer.status).toBe(entry.response.status);
      const left = comparedWithout[keyOf(entry)]?.names ?? [];
      expect(parsed(comparable(answer.body), left)).toEqual(parsed(comparable(entry.response.body), left));
      for (const name of ['content-type', 'x-content-type-options']) {
        expect(answer.headers[name]).toBe(entry.response.headers[name]);
      }
    });
  }
});

describe('what a body becomes', () => {
  interface PutResult {
    body: string;
    content_type: string | null;
    status: number;
    response: string;
    stored: [string, string | Record<string, string>][];
    label_erased?: boolean;
  }
  const results = recordedJson<PutResult[]>('onegate/put-results.json');

  test('all 115 are there', () => expect(results).toHaveLength(115));

  test.each(results)('$body ($content_type)', async result => {
    stage.setUserTemplate(0, 'LABEL="x"');
    const headers: Record<string, string> = { 'x-onegate-token': stage.token(0), 'x-onegate-vmid': '0' };
    if (result.content_type) headers['content-type'] = result.content_type;
    const body = Buffer.from(result.body);
    headers['content-length'] = String(body.length);
    const answer = await send('PUT', '/vm', headers, body);
    expect([answer.status, answer.body]).toEqual([result.status, result.response]);
    const { LABEL: label, ...rest } = stage.userTemplate(0);
    expect(label === undefined).toBe(result.label_erased ?? false);
    expect(flat(rest)).toEqual(result.stored);
  });

  /** The recorder cut blanks off the ends of what it read. */
  function flat(template: Hash): [string, HashValue][] {
    return Object.entries(template).flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value]).map((item): [string, HashValue] => [
        name,
        typeof item === 'string' ? item.trim() : item,
      ]),
    );
  }
});

test('a client that asks before it sends a body is told to go on', async () => {
  const headers = { 'x-onegate-token': stage.token(0), 'x-onegate-vmid': '0', expect: '100-continue' };
  const status = await new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port: stage.gate.port, method: 'PUT', path: '/vm', headers };
    const outgoing = request(options, response => resolve(response.resume().statusCode));
    outgoing.on('continue', () => outgoing.end('A=123'));
    outgoing.on('error', reject);
    outgoing.flushHeaders();
  });
  expect(status).toBe(200);
  expect(stage.userTemplate(0).A).toBe('123');
  stage.setUserTemplate(0, 'LABEL="x"');
});

describe('sizes', () => {
  const put = (body: Buffer, headers: Record<string, string> = {}) =>
    send('PUT', '/vm', { 'x-onegate-token': stage.token(0), 'x-onegate-vmid': '0', ...headers }, body);

  test('a raw body of 5 MB is taken', async () => {
    const answer = await put(Buffer.from(`A=${'x'.repeat(5_000_000)}`));
    expect(answer.status).toBe(200);
    expect(String(stage.userTemplate(0).A)).toHaveLength(5_000_000);
    stage.setUserTemplate(0, 'LABEL="x"');
  });

  test('a form above 4 MiB is refused', async () => {
    const form = Buffer.from(`data=A%3D${'x'.repeat(4 * 1024 * 1024)}&type=1`);
    const answer = await put(form, { 'content-type': 'application/x-www-form-urlencoded' });
    expect(answer.status).toBe(500);
  });

  test('nothing above 10 MB is read', async () => {
    const answer = await put(Buffer.from(`A=${'x'.repeat(10_000_000)}`)).catch(error => error.code);
    expect(typeof answer === 'string' ? answer : answer.status).toSatisfy(
      (outcome: unknown) => outcome === 500 || outcome === 'ECONNRESET' || outcome === 'EPIPE',
    );
    expect(stage.userTemplate(0)).toEqual({ LABEL: 'x' });
  });
});

describe('the guest', () => {
  test('finds the recorded names in its context, and the token that OneGate takes', () => {
    const names = (text: string) => [...text.matchAll(/^([A-Z][A-Z0-9_]*)='/gm)].map(([, name]) => name);
    const recorded = names(recordedText('guest/vm46-context.sh.txt'));
    const context = stage.driver.contextOf(45) ?? {};
    expect(names(context['context.sh'] ?? '')).toEqual(recorded);
    expect(context['token.txt']?.trim()).toBe(stage.token(45));
  });
});

test('each recorded exchange is replayed or excluded with a reason', () => {
  const keys = [...onegate, ...cli].map(keyOf);
  expect(keys.length).toBe(165 + 18);
  for (const key of keys) expect(replayed.some(entry => keyOf(entry) === key) !== key in excluded).toBe(true);
  for (const [key, reason] of Object.entries(excluded)) {
    expect(keys).toContain(key);
    expect(reason.length).toBeGreaterThan(20);
  }
  for (const key of [...Object.keys(scenes), ...Object.keys(comparedWithout)]) expect(keys).toContain(key);
});
