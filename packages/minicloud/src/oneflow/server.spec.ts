import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { recording } from '../testing/recordings.ts';
import { admin, type Bench, createBench, sessionText, tester } from './testing/bench.ts';

let on: Bench;
let base = '';

beforeEach(async () => {
  on = createBench();
  base = `http://127.0.0.1:${await on.flow.listen(0)}`;
});

afterEach(() => on.close());

function login(user = admin): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(sessionText(user)).toString('base64')}` };
}

describe('the server', () => {
  it('answers with the recorded headers', async () => {
    const answer = await fetch(`${base}/service_template`, { headers: login() });
    const recorded = recording('oneflow', '008-template-list-empty').response;
    expect(await answer.text()).toBe(recorded.body);
    for (const name of ['content-type', 'x-xss-protection', 'x-content-type-options', 'x-frame-options']) {
      expect(answer.headers.get(name)).toBe(recorded.headers[name]);
    }
    expect(Number(answer.headers.get('content-length'))).toBe(Buffer.byteLength(recorded.body));
  });

  it('asks for the login before it looks at the path', async () => {
    expect((await fetch(`${base}/nowhere`)).status).toBe(401);
    expect((await fetch(`${base}/nowhere`, { headers: login() })).status).toBe(404);
    const wrong = login({ ...admin, password: 'wrong' });
    expect(await (await fetch(`${base}/service`, { headers: wrong })).text()).toBe('Invalid credentials');
  });

  it('answers 204 without a body or its type', async () => {
    const answer = await fetch(`${base}/service_pool/purge_done`, { method: 'POST', headers: login(), body: '{}' });
    expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([204, null, '']);
  });

  it('keeps text beyond ASCII whole, and refuses what XML-RPC would', async () => {
    const post = (description: string) =>
      fetch(`${base}/service_template`, {
        method: 'POST',
        headers: login(),
        body: JSON.stringify({ name: 'x', description, roles: [] }),
      });
    const answer = await post('größer – <&> ]] "q" \\');
    expect(answer.status).toBe(201);
    expect(await answer.text()).toContain('größer – <&> ]] \\"q\\" \\\\');
    expect((await post('\u{1f642}')).status).toBe(500);
    expect((await post('a]]>b')).status).toBe(500);
  });

  it('refuses bodies without end', async () => {
    const body = 'x'.repeat(17 * 1024 * 1024);
    const answer = await fetch(`${base}/service_template`, { method: 'POST', headers: login(), body });
    expect(answer.status).toBe(413);
  });

  it('lets only those change a service who may manage it', async () => {
    const body = { name: 'x', roles: [{ name: 'a', type: 'vm', template_id: 2, cardinality: 1 }] };
    on.ask('POST', '/service_template', body);
    on.ask('POST', '/service_template/0/action', { action: { perform: 'instantiate' } });
    on.ask('POST', '/service/1/action', { action: { perform: 'chmod', params: { octet: '644' } } });
    expect(on.ask('GET', '/service/1', '', tester).status).toBe(200);
    const refused = on.ask('DELETE', '/service/1', '', tester);
    expect([refused.status, refused.body]).toEqual([
      401,
      '[one.document.update] User [2] : Not authorized to perform MANAGE DOCUMENT [1].',
    ]);
    const scale = { role_name: 'a', cardinality: 2, force: true };
    expect(on.ask('POST', '/service/1/scale', scale, tester).status).toBe(401);
    on.ask('POST', '/service/1/action', { action: { perform: 'chmod', params: { octet: '646' } } });
    expect(on.ask('DELETE', '/service/1', '', tester).status).toBe(204);
  });

  it('gives the VMs of a service to the service’s owner', async () => {
    on.ask('POST', '/service_template', { name: 'x', roles: [] }, tester);
    const role = { name: 'a', type: 'vm', template_id: 0, cardinality: 1 };
    on.core.call(sessionText(admin), 'one.template.chmod', 0, 1, 1, 0, 1, 0, 0, 1, 0, 0);
    on.ask('PUT', '/service_template/0', { name: 'x', roles: [role] }, tester);
    on.ask('POST', '/service_template/0/action', { action: { perform: 'instantiate' } }, tester);
    await on.clock.advance(100);
    const document = on.ask('GET', '/service/1', '', tester).body;
    expect(document).toContain('"UNAME": "tester"');
    expect(on.cloud.sessions.at(-1)).toMatch(/^tester:/);
  });

  it('answers any request without breaking', () => {
    for (const body of ['', '[]', 'null', '1', '"x"', '{"action":[]}', '{"action":{"perform":1,"params":[]}}']) {
      for (const [method, path] of [
        ['POST', '/service_template'],
        ['PUT', '/service_template/0'],
        ['POST', '/service_template/0/action'],
        ['DELETE', '/service_template/0'],
        ['PUT', '/service/0'],
        ['POST', '/service/0/action'],
        ['POST', '/service/0/scale'],
        ['POST', '/service/0/role_action'],
        ['POST', '/service/0/role/a/action'],
      ] as const) {
        on.ask('POST', '/service_template', { name: 'x', roles: [] });
        expect(on.ask(method, path, body).status).toBeLessThan(600);
      }
    }
    expect(on.faults).toEqual([]);
  });
});
