import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeAuthority } from '../testing/certificates.ts';
import type { Finished } from '../testing/command-line.ts';
import { OperatorServer } from '../testing/operator-server.ts';
import { openStage, type Stage } from '../testing/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
  expect((await stage.run('deploy', 'sensors')).code).toBe(0);
});
afterEach(() => stage.close());

it('runs are refused to who has no token', async () => {
  const file = join(stage.home, 'services', 'embedded', 'sensors.json');
  const record = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...record, operatorToken: 'another' }));
  const refused = await stage.run('run', 'list', '--json');
  expect(refused.document()).toMatchObject({ error: { code: 'operator-token-refused' } });
  expect(refused.code).toBe(3);

  await writeFile(file, 'damaged');
  const missing = await stage.run('run', 'list', '--json');
  expect(missing.document()).toMatchObject({ error: { code: 'operator-token-missing' } });
  expect(missing.code).toBe(3);
});

describe('a SuperLink whose attributes another VM has rewritten', () => {
  let superlink: number;
  let attacker: OperatorServer;
  beforeEach(async () => {
    expect((await stage.run('run', 'list')).code).toBe(0);
    superlink = (await stage.oned.vms.list({ extended: true })).find(vm => vm.roleName === 'superlink')?.id ?? -1;
  });
  afterEach(() => attacker.close());

  /** The endpoint, and the CA or its absence, of somebody else. */
  async function rewrite(server: OperatorServer, attributes: Record<string, string>): Promise<void> {
    attacker = server;
    const port = await attacker.listen('127.0.0.1');
    await stage.oned.vms.update(superlink, { FL_CONTROL_ENDPOINT: `127.0.0.1:${port}`, ...attributes }, 'merge');
  }

  function expectRefusal(refused: Finished): void {
    expect(refused.document()).toMatchObject({ error: { code: 'operator-untrusted' } });
    expect(refused.code).toBe(3);
    expect(attacker.tokens).toEqual([]);
  }

  it('gets no token, until its CA is accepted by hand', async () => {
    const { ca, issue } = await makeAuthority();
    const encoded = Buffer.from(ca).toString('base64');
    await rewrite(new OperatorServer(await issue('127.0.0.1')), { FL_CA_CERT: encoded });
    expectRefusal(await stage.run('run', 'list', '--json'));
    expectRefusal(await stage.run('run', 'watch', '--json'));
    const shown = await stage.run('status');
    expect(shown.stdout).toContain('SuperLink not asked: The SuperLink of sensors');
    expect(attacker.tokens).toEqual([]);

    const file = join(stage.home, 'services', 'embedded', `sensors.${superlink}.ca-sha256`);
    expect((await stage.run('run', 'list')).stderr).toContain(file);
    await rm(file);
    await stage.run('run', 'list');
    expect(attacker.tokens).toHaveLength(1);
  });

  it('gets no token for a CA of its own beside the right one, however it is marked', async () => {
    const { ca, issue } = await makeAuthority();
    const server = new OperatorServer(await issue('127.0.0.1'));
    const marked = ca.replaceAll('CERTIFICATE', 'X509 CERTIFICATE');
    await rewrite(server, { FL_CA_CERT: Buffer.from(stage.authority.ca + ca).toString('base64') });
    expectRefusal(await stage.run('run', 'list', '--json'));
    const hidden = Buffer.from(stage.authority.ca + marked).toString('base64');
    await stage.oned.vms.update(superlink, { FL_CA_CERT: hidden }, 'merge');
    expectRefusal(await stage.run('run', 'list', '--json'));
  });

  it('gets no token without TLS', async () => {
    await rewrite(new OperatorServer(), { FL_TLS: 'NO', FL_CA_CERT: 'none' });
    expectRefusal(await stage.run('run', 'list', '--json'));
  });
});

it('a SuperLink in another VM is trusted anew, with a line that says so', async () => {
  expect((await stage.run('run', 'list')).code).toBe(0);
  const vm = (await stage.oned.vms.list({ extended: true })).find(one => one.roleName === 'superlink')?.id ?? -1;
  const kept = join(stage.home, 'services', 'embedded', `sensors.${vm}.ca-sha256`);
  await writeFile(join(stage.home, 'services', 'embedded', 'sensors.4711.ca-sha256'), await readFile(kept));
  await rm(kept);
  const listed = await stage.run('run', 'list', '--json');
  expect(listed.stderr).toContain(`The SuperLink of sensors is another VM than before (${vm})`);
  expect(listed.code).toBe(0);
  expect((await stage.run('run', 'list')).stderr).toBe('');
});

it('what was known of an earlier service of that name is forgotten when one is deployed', async () => {
  expect((await stage.run('delete', 'sensors')).code).toBe(0);
  const left = join(stage.home, 'services', 'embedded', 'sensors.4711.ca-sha256');
  await writeFile(left, 'left by a service that was removed by other means');
  const deployed = await stage.run('deploy', 'sensors');
  expect(deployed.code).toBe(0);
  expect(deployed.stderr).not.toContain('another VM than before');
  await expect(readFile(left)).rejects.toMatchObject({ code: 'ENOENT' });
});
