import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runSummary } from '../../testing/operator-server.ts';
import { roundEnd, runEnded } from '../../testing/run-events.ts';
import { openStage, type Stage } from '../../testing/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
  expect((await stage.run('deploy', 'sensors')).code).toBe(0);
});
afterEach(() => stage.close());

describe('runs', () => {
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
});
