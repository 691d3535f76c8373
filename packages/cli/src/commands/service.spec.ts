import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStage, type Stage } from '../testing/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

describe('a service', () => {
  it('is deployed, shown, scaled and deleted', async () => {
    const deployed = await stage.run('deploy', 'sensors', '--nodes', '2', '--json');
    expect(deployed.stderr).toContain('Service sensors: RUNNING');
    expect(deployed.code).toBe(0);
    expect(deployed.document()).toMatchObject({ schemaVersion: 1, service: { name: 'sensors', nodes: 2, run: null } });

    const shown = await stage.run('status', '--json');
    expect(shown.document()).toMatchObject({
      services: [
        {
          name: 'sensors',
          state: 'RUNNING',
          vms: [
            { role: 'superlink', state: 'RUNNING', ready: true },
            { role: 'supernode', ready: true },
            { role: 'supernode', ready: true },
          ],
          flower: { flowerVersion: '1.41.0' },
          flowerUnknown: null,
        },
      ],
    });
    expect((await stage.run('status', 'sensors')).stdout).toMatch(
      /^sensors \(\d+\): RUNNING, SuperNodes 2 \(1 to 10\)\n/,
    );

    const scaled = await stage.run('scale', 'sensors', '3', '--wait', '--json');
    expect(scaled.document()).toMatchObject({ service: { from: 2, to: 3 } });
    const tooSoon = await stage.run('scale', 'sensors', '2', '--json');
    expect(tooSoon.document()).toMatchObject({ error: { code: 'scale-state', details: { state: 'COOLDOWN' } } });
    expect(tooSoon.code).toBe(1);

    const deleted = await stage.run('delete', 'sensors', '--json');
    expect(deleted.stderr).toContain('recovered from COOLDOWN');
    expect(deleted.document()).toMatchObject({ service: { name: 'sensors', vms: 4 } });
    expect((await stage.run('status')).stdout).toBe('There is no Flower service. Deploy one with oneflower deploy.\n');
    expect(stage.driver.running()).toEqual([]);
  });

  it('uses templates again, and has a name of its own', async () => {
    expect((await stage.run('deploy', 'one')).stderr).toContain('registered');
    const second = await stage.run('deploy', 'two', '--nodes', '3', '--set', 'FL_NUM_ROUNDS=9');
    expect(second.stderr.match(/used again/g)).toHaveLength(3);
    const taken = await stage.run('deploy', 'one', '--json');
    expect(taken.document()).toMatchObject({ error: { code: 'service-exists' } });
    expect(taken.code).toBe(1);
  });

  it('does not meet others that are deployed at the same time', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const deployed = await Promise.all(names.map(name => stage.run('deploy', name, '--nodes', '1', '--json')));
    expect(deployed.map(({ code, stderr }) => (code === 0 ? 0 : stderr))).toEqual([0, 0, 0, 0, 0, 0]);
    const { services } = (await stage.run('status', '--json')).document() as {
      services: { name: string; vms: { ip: string }[] }[];
    };
    expect(services.map(({ name }) => name).toSorted()).toEqual(names);
    expect(new Set(services.flatMap(({ vms }) => vms.map(({ ip }) => ip))).size).toBe(12);
    const templates = (await stage.oned.templates.list()).map(({ name }) => name);
    expect(new Set(templates).size).toBe(templates.length);
  });

  it('gets secrets in the CONTEXT of its VMs alone, and leaves no template with them', async () => {
    const deployed = await stage.run('deploy', '--set', 'FL_JOIN_TOKEN=join-token-0123456789', '--json');
    expect(deployed.code).toBe(0);
    expect(deployed.stdout + deployed.stderr).not.toContain('join-token-0123456789');
    const vms = await stage.oned.vms.list({ extended: true });
    for (const vm of vms) {
      expect(vm.template.CONTEXT).toMatchObject({ FL_JOIN_TOKEN: 'join-token-0123456789' });
      if (vm.roleName === 'supernode') expect(vm.userTemplate).not.toHaveProperty('FL_JOIN_TOKEN');
    }
    const { requests } = (await stage.run('deploy', 'other', '--dry-run', '--json')).document() as {
      requests: { server: string; already: number | null }[];
    };
    expect(requests.map(({ already }) => already !== null)).toEqual([true, true, false, false]);
  });

  it('gives each role its variables and references, and keeps the operator token on this machine', async () => {
    await stage.run('deploy', '--set', 'FL_NUM_ROUNDS=7', '--set', 'FL_NODE_CONFIG=site="a b"');
    const vms = await stage.oned.vms.list({ extended: true });
    const superlink = vms.find(vm => vm.roleName === 'superlink');
    const supernode = vms.find(vm => vm.roleName === 'supernode');
    expect(superlink?.template.CONTEXT).toMatchObject({
      FL_ROLE: 'superlink',
      FL_NUM_ROUNDS: '7',
      FL_CONTROL_API_ADDRESS: '0.0.0.0:9093',
      FL_TLS_ENABLED: 'YES',
    });
    expect(superlink?.template.CONTEXT).not.toHaveProperty('FL_NODE_CONFIG');
    expect(supernode?.template.CONTEXT).toMatchObject({
      FL_ROLE: 'supernode',
      FL_NODE_CONFIG: 'site="a b"',
      SUPERLINK_ENDPOINT: '127.0.0.1:9092',
      SUPERLINK_TLS: 'YES',
      SUPERLINK_CA_CERT: Buffer.from(stage.authority.ca).toString('base64'),
    });
    expect(supernode?.template.CONTEXT).not.toHaveProperty('FL_NUM_ROUNDS');
    const file = join(stage.home, 'services', 'embedded', 'flower.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const { operatorToken } = JSON.parse(await readFile(file, 'utf8'));
    expect(JSON.stringify(superlink)).not.toContain(operatorToken);
    await stage.run('delete', 'flower');
    expect(await readdir(join(stage.home, 'services', 'embedded'))).toEqual([]);
  });

  it('that fails says why, what it has made, and is removed all the same', async () => {
    const text = Buffer.from('FL_NUM_ROUNDS="x" is refused.\u001b[31m').toString('base64');
    stage.instead.set('superlink', { FL_ROLE: 'superlink', FL_ERROR: 'config_validation_failed', FL_ERROR_TEXT: text });
    const failed = await stage.run('deploy', '--json');
    expect(failed.code).toBe(1);
    expect(failed.document()).toMatchObject({
      error: {
        code: 'deploy-failed',
        reason: 'FL_NUM_ROUNDS="x" is refused. [31m',
        details: { error: 'config_validation_failed', left: [{}, {}, {}, { kind: 'service', name: 'flower' }] },
      },
    });
    expect((await stage.run('status')).stdout).toContain('config_validation_failed');
    expect((await stage.run('delete', 'flower')).code).toBe(0);
    expect(stage.driver.running()).toEqual([]);
  });

  it('whose new SuperNode cannot become ready is scaled no longer than that is seen', async () => {
    expect((await stage.run('deploy', 'sensors', '--nodes', '1')).code).toBe(0);
    const text = Buffer.from('FL_NODE_CONFIG="x" is refused.').toString('base64');
    stage.instead.set('supernode_1', {
      FL_ROLE: 'supernode',
      FL_ERROR: 'config_validation_failed',
      FL_ERROR_TEXT: text,
    });
    const failed = await stage.run('scale', 'sensors', '2', '--wait', '--json');
    expect(failed.stderr).toMatch(
      /supernode_1_\(service_\d+\): config_validation_failed: FL_NODE_CONFIG="x" is refused\./,
    );
    expect(failed.document()).toMatchObject({
      error: { code: 'scale-failed', reason: 'FL_NODE_CONFIG="x" is refused.' },
    });
    expect(failed.code).toBe(1);
  });

  it('whose deployment is interrupted is named, with what removes it', async () => {
    stage.instead.set('superlink', { FL_ROLE: 'superlink' });
    const controller = new AbortController();
    const interrupted = await stage.runWith(
      {
        signal: controller.signal,
        onStderr: text => {
          if (text.includes('Service flower: DEPLOYING')) controller.abort(new Error('interrupted'));
        },
      },
      'deploy',
    );
    expect(interrupted.code).toBe(130);
    expect(interrupted.stderr).toMatch(/Made and still there: .*service flower \(\d+\)/);
    expect(interrupted.stderr).toContain('oneflower delete flower');
  });

  it('that is not ready in time is left running, and the deployment says so', async () => {
    stage.instead.set('superlink', { FL_ROLE: 'superlink' });
    const late = await stage.run('deploy', '--ready-within', '2', '--json');
    expect(late.document()).toMatchObject({ error: { code: 'deploy-timeout' } });
    expect(late.code).toBe(1);
  });
});
