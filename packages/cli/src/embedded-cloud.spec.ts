import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { ModelManifest } from '@oneflower/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runSummary } from './testing/operator-server.ts';
import { openStage, type Stage } from './testing/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

const withUseCase = ['--set', 'FL_USE_CASE=anomaly-detection'];
const trainingStart = {
  event: 'training_start',
  data: { run_id: '7', strategy: 'FedAvg', num_rounds: 1, min_clients: 2 },
} as const;
const roundEnd = {
  event: 'round_end',
  data: {
    run_id: '7',
    round: 1,
    num_clients_responded: 2,
    num_clients_failed: 0,
    round_duration_seconds: 1.25,
    metrics: { roc_auc: 0.98765 },
  },
} as const;
const runEnded = {
  event: 'run_ended',
  data: { run_id: '7', status: 'completed', details: '', rounds_done: 1 },
} as const;

function manifestOf(content: Buffer): ModelManifest {
  return {
    runId: '7',
    app: 'anomaly-detection',
    file: 'model-7.npz',
    bytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
    round: 1,
    savedAt: '2026-01-01T00:00:00Z',
    flowerVersion: '1.41.0',
    metrics: {},
    details: {},
  };
}

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

describe('a cloud kept by name', () => {
  it('is checked, kept without its login, and found again', async () => {
    const { endpoint, oneflowUrl } = await stage.access();
    const environment = { ONEFLOWER_HOME: stage.home, HOME: stage.home };
    const named = {
      ...environment,
      ONE_XMLRPC: endpoint,
      ONEFLOW_URL: oneflowUrl,
      ONE_AUTH: join(stage.home, 'embedded', 'one_auth'),
    };
    const saved = await stage.runWith({ environment: named }, 'cloud', 'save', 'hospital', '--json');
    expect(saved.document()).toMatchObject({ cloud: { name: 'hospital', xmlrpc: endpoint, user: 'oneadmin' } });
    const kept = await readFile(join(stage.home, 'clouds', 'hospital.json'), 'utf8');
    expect(JSON.parse(kept).authFile).toBe(join(stage.home, 'embedded', 'one_auth'));
    expect(kept).not.toContain('oneadmin:');
    expect((await stage.run('status', '--cloud', 'hospital', '--json')).code).toBe(0);
  });

  it('is refused under the name of the embedded one', async () => {
    expect((await stage.run('cloud', 'save', 'embedded')).stderr).toContain('is the name of the embedded cloud');
  });
});

describe('a deployment with a use case', () => {
  it('ends when training starts, and says what the SuperLink said', async () => {
    stage.operator.runs = [runSummary({ rounds: 1 })];
    stage.operator.tell(
      { event: 'boot_step', data: { step: 'certificates', outcome: 'done', seconds: 0.5, attempts: 1 } },
      trainingStart,
    );
    const deployed = await stage.run('deploy', ...withUseCase, '--json');
    expect(deployed.stderr).toContain('SuperLink: certificates done (0.5 s)');
    expect(deployed.document()).toMatchObject({ service: { run: { runId: '7', status: 'running' } } });
  });

  it('with --wait goes on until the run has ended, through a lost connection', async () => {
    stage.operator.runs = [runSummary({ status: 'completed', metrics: { roc_auc: 0.98765 }, model: true })];
    stage.operator.tell(trainingStart);
    let cut = false;
    const deployed = await stage.runWith(
      {
        onStderr: text => {
          if (cut || !text.includes('training starts')) return;
          cut = true;
          stage.operator.cuts = 2;
          stage.operator.tell(roundEnd);
          setTimeout(() => stage.operator.tell(runEnded), 1500);
        },
      },
      'deploy',
      ...withUseCase,
      '--wait',
    );
    expect(deployed.stderr).toContain('does not answer; trying again');
    expect(deployed.stderr).toContain('The SuperLink answers again');
    expect(deployed.stderr.match(/Round 1: roc_auc 0\.9877 \(2 SuperNodes, 1\.3 s\)/g)).toHaveLength(1);
    expect(deployed.stdout).toContain('Run 7 is completed: roc_auc 0.9877.\nNext: oneflower model download flower\n');
    expect(deployed.code).toBe(0);
  });

  it('is not ended by a run that an operator has submitted', async () => {
    const foreign = { run_id: '6', status: 'failed', details: '', rounds_done: 0 } as const;
    stage.operator.runs = [runSummary({ rounds: 1 }), runSummary({ runId: '6', submittedBy: 'operator' })];
    stage.operator.tell({ event: 'run_ended', data: foreign }, trainingStart);
    const deployed = await stage.run('deploy', ...withUseCase, '--json');
    expect(deployed.document()).toMatchObject({ service: { run: { runId: '7' } } });
  });

  it('fails when its run fails', async () => {
    stage.operator.runs = [runSummary({ status: 'failed' })];
    stage.operator.tell({
      event: 'run_ended',
      data: { run_id: '7', status: 'failed', details: 'ServerApp crashed', rounds_done: 0 },
    });
    const failed = await stage.run('deploy', ...withUseCase, '--json');
    expect(failed.document()).toMatchObject({ error: { code: 'run-failed', reason: 'ServerApp crashed' } });
    expect(failed.code).toBe(1);
  });
});

describe('runs and models', () => {
  beforeEach(async () => {
    expect((await stage.run('deploy', 'sensors')).code).toBe(0);
  });

  it('that failed say why wherever they are shown', async () => {
    const details = 'The run was lost.';
    stage.operator.runs = [runSummary({ status: 'failed', details, endedAt: '2026-01-01T00:00:01Z' })];
    expect((await stage.run('run', 'list')).stdout).toContain(`Run 7: ${details}\n`);
    const watched = await stage.run('run', 'watch');
    expect(watched.stdout).toBe(`Run 7 is failed.\n${details}\n`);
    expect(watched.code).toBe(1);
    stage.operator.status.run = stage.operator.runs[0] ?? null;
    expect((await stage.run('status', 'sensors')).stdout).toContain(`${details}\n`);
  });

  it('are listed, followed, stopped and read', async () => {
    const { operator } = stage;
    operator.runs = [
      runSummary({ runId: '7' }),
      runSummary({ runId: '6', status: 'completed', startedAt: '2025-01-01' }),
    ];
    operator.logs.set('7', 'line 1\nline 2\u001b[2J\n');
    expect((await stage.run('run', 'list')).stdout.split('\n').map(line => line.slice(0, 3))).toEqual([
      'RUN',
      '7  ',
      '6  ',
      '',
    ]);
    expect((await stage.run('run', 'logs')).stdout).toBe('line 1\nline 2\n');
    expect((await stage.run('run', 'logs', '--json')).document()).toMatchObject({ text: 'line 1\nline 2\u001b[2J\n' });

    const before = { event: 'boot_ready', data: { seconds: 1 } } as const;
    operator.tell(before, roundEnd, { ...roundEnd, data: { ...roundEnd.data, run_id: '8' } }, runEnded);
    const watched = await stage.run('run', 'watch', 'sensors', '--json');
    expect(watched.stderr.match(/Round 1/g)).toHaveLength(1);
    expect(watched.stderr).not.toContain('SuperLink');
    expect(watched.document()).toMatchObject({ run: { runId: '7' } });

    expect((await stage.run('run', 'stop')).stdout).toBe('Run 7 is stopped.\n');
    const ended = await stage.run('run', 'stop', '--run', '6', '--json');
    expect(ended.document()).toMatchObject({ error: { code: 'operator-refused', details: { code: 'run-ended' } } });
    const unknown = await stage.run('run', 'watch', '--run', '66', '--json');
    expect(unknown.document()).toMatchObject({
      error: { code: 'run-not-found', message: expect.stringContaining('mean 6') },
    });
  });

  it('are waited for while the SuperLink is down from the start', async () => {
    const { operator } = stage;
    operator.runs = [runSummary({ status: 'completed', endedAt: '2026-01-01T00:00:01Z' })];
    operator.cuts = 2;
    const watched = await stage.run('run', 'watch');
    expect(watched.stderr).toContain('The SuperLink does not answer; trying again');
    expect(watched.stderr).toContain('The SuperLink answers again');
    expect(watched.stdout).toBe('Run 7 is completed.\n');
    expect(watched.code).toBe(0);
  });

  it('are submitted as a folder with what belongs to an app', async () => {
    const app = join(stage.home, 'app');
    await mkdir(join(app, 'pkg', '__pycache__'), { recursive: true });
    await writeFile(join(app, 'pyproject.toml'), '[project]\nname = "x"\n');
    await writeFile(join(app, 'pkg', 'a.py'), 'print("hello")\n');
    await writeFile(join(app, 'pkg', '__pycache__', 'a.pyc'), 'junk');
    const submitted = await stage.run('run', 'submit', 'sensors', 'app', '-c', 'lr=0.1', '-c', 'name="a b"', '--json');
    expect(submitted.document()).toMatchObject({ run: { runId: '100', status: 'pending' } });
    const [sent] = stage.operator.submitted;
    expect(sent?.overrides).toEqual(['lr=0.1', 'name="a b"']);
    const tar = gunzipSync(sent?.archive ?? Buffer.alloc(0)).toString('latin1');
    expect(tar).toContain('pkg/a.py');
    expect(tar).not.toContain('junk');
    const none = await stage.run('run', 'submit', 'sensors', 'app/pkg', '--json');
    expect(none.document()).toMatchObject({ error: { code: 'app-folder' } });
    expect(none.code).toBe(2);
  });

  it('are downloaded whole or not at all', async () => {
    const content = Buffer.from('model'.repeat(1000));
    stage.operator.models = [manifestOf(content)];
    stage.operator.modelFiles.set('7', content);
    expect((await stage.run('model', 'list')).stdout).toContain('model-7.npz');
    const downloaded = await stage.run('model', 'download');
    expect(downloaded.stdout).toContain('5.0 kB');
    expect(await readFile(join(stage.home, 'sensors-7.npz'))).toEqual(content);

    stage.operator.modelFiles.set('7', Buffer.from(content).fill('x', 3, 4));
    const damaged = await stage.run('model', 'download', '-o', 'out/', '--json');
    expect(damaged.document()).toMatchObject({ error: { code: 'model-damaged' } });
    expect(damaged.code).toBe(1);
    expect(await readdir(join(stage.home, 'out'))).toEqual([]);
  });

  it('are refused to who has no token, and to a machine with another certificate', async () => {
    const file = join(stage.home, 'services', 'embedded', 'sensors.json');
    const record = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...record, operatorToken: 'another' }));
    const refused = await stage.run('run', 'list', '--json');
    expect(refused.document()).toMatchObject({ error: { code: 'operator-token-refused' } });
    expect(refused.code).toBe(3);

    const superlink = (await stage.oned.vms.list({ extended: true })).find(vm => vm.roleName === 'superlink');
    const { makeAuthority } = await import('./testing/certificates.ts');
    const other = Buffer.from((await makeAuthority()).ca).toString('base64');
    await stage.oned.vms.update(superlink?.id ?? -1, { FL_CA_CERT: other }, 'merge');
    const untrusted = await stage.run('run', 'list', '--json');
    expect(untrusted.document()).toMatchObject({ error: { code: 'operator-untrusted' } });
    expect(untrusted.code).toBe(3);

    await stage.oned.vms.update(superlink?.id ?? -1, { FL_TLS: 'NO', FL_CA_CERT: 'none' }, 'merge');
    expect((await stage.run('run', 'list', '--json')).document()).toMatchObject({
      error: { code: 'operator-untrusted' },
    });

    await writeFile(file, 'damaged');
    const missing = await stage.run('run', 'list', '--json');
    expect(missing.document()).toMatchObject({ error: { code: 'operator-token-missing' } });
    expect(missing.code).toBe(3);
  });
});
