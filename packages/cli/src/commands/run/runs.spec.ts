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
    operator.runs[0] = runSummary({ runId: '7', checkpoint: 4 });
    expect((await stage.run('run', 'stop')).stdout).toBe(
      'Run 7 is stopped.\nLet it go on: oneflower run resume sensors 7\n',
    );
    operator.resumable = false;
    operator.runs[0] = runSummary({ runId: '7', checkpoint: 4 });
    expect((await stage.run('run', 'stop')).stdout).toBe('Run 7 is stopped.\n');
    const ended = await stage.run('run', 'stop', 'sensors', '6', '--json');
    expect(ended.document()).toMatchObject({ error: { code: 'operator-refused', details: { code: 'run-ended' } } });
    const unknown = await stage.run('run', 'watch', 'sensors', '66', '--json');
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

  it('begin with a checkpoint of another run', async () => {
    await mkdir(join(stage.home, 'app'));
    await writeFile(join(stage.home, 'app', 'pyproject.toml'), '[project]\nname = "x"\n');
    const submitted = await stage.run('run', 'submit', 'sensors', 'app', '--from', '7/6');
    expect(submitted.code).toBe(0);
    expect(submitted.stdout).toMatch(
      /^Run \d+ is pending\. It goes on from round 6 of run 7\.\nNext: oneflower run watch sensors\n$/,
    );
    expect(stage.operator.submitted[0]?.from).toBe('7/6');
    expect((await stage.run('run', 'submit', 'sensors', 'app', '--from', '../7')).code).toBe(2);
  });
});

describe('a run that was interrupted', () => {
  const interrupted = {
    event: 'run_ended',
    data: {
      run_id: '7',
      status: 'failed',
      rounds_done: 6,
      resumes: true,
      details: 'Interrupted in round 7 of 10 because its ServerApp ended. It goes on from the checkpoint of round 6.',
    },
  } as const;
  const resumed = { event: 'run_resumed', data: { run_id: '8', continues: '7', round: 6 } } as const;
  const starts = {
    event: 'training_start',
    data: { run_id: '8', strategy: 'FedAvg', num_rounds: 10, min_clients: 2, first_round: 7 },
  } as const;
  const ends = { event: 'run_ended', data: { ...runEnded.data, run_id: '8' } } as const;

  it('is followed into the run that goes on in its place', async () => {
    const { operator } = stage;
    operator.runs = [runSummary({ runId: '7', rounds: 10 })];
    operator.tell(roundEnd, interrupted);
    const watched = await stage.runWith(
      {
        onStderr: text => {
          if (operator.runs.length > 1 || !text.includes('interrupted in round 7 of 10')) return;
          const endedAt = '2026-01-01T00:00:01Z';
          operator.runs = [
            runSummary({ runId: '8', continues: '7', status: 'completed', endedAt, round: 10 }),
            runSummary({ runId: '7', continuedBy: '8', status: 'failed', endedAt }),
          ];
          operator.tell(resumed, starts, { ...roundEnd, data: { ...roundEnd.data, run_id: '8', round: 7 } }, ends);
        },
      },
      ...['run', 'watch'],
    );
    expect(watched.stdout).toBe('Run 8 is completed.\n');
    expect(watched.code).toBe(0);
    const said = ['It goes on from the checkpoint', 'goes on from round 6 of run 7', 'rounds 7 to 10', 'Round 7'];
    const places = said.map(words => watched.stderr.indexOf(words));
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    // From its first run on, also afterwards.
    const again = await stage.run('run', 'watch', 'sensors', '7');
    expect(again.stdout).toBe('Run 8 is completed.\n');
  });

  it('is followed from one of long ago, of which the SuperLink keeps no events', async () => {
    const { operator } = stage;
    operator.runs = [
      runSummary({ runId: '9', continues: '8', startedAt: '2026-03' }),
      runSummary({ runId: '8', continues: '7', continuedBy: '9', status: 'failed', startedAt: '2026-02' }),
      runSummary({ runId: '7', continuedBy: '8', status: 'failed' }),
    ];
    operator.tell(
      { ...roundEnd, data: { ...roundEnd.data, run_id: '9', round: 8 } },
      { ...ends, data: { ...ends.data, run_id: '9' } },
    );
    const watched = await stage.run('run', 'watch', 'sensors', '7');
    expect(watched.stderr).toContain('Round 8');
    expect(watched.stdout).toContain('Run 9 is ');
  });

  it('is shown with those that it belongs to', async () => {
    stage.operator.runs = [
      runSummary({ runId: '8', status: 'failed', continues: '7', checkpoint: 6, resumes: true, startedAt: '2026-02' }),
      runSummary({ runId: '7', status: 'failed', continuedBy: '8', details: 'Interrupted; goes on as run 8.' }),
    ];
    const { stdout } = await stage.run('run', 'list');
    expect(stdout).toMatch(/RUN.*CONTINUES.*CHECKPOINT/);
    expect(stdout).toMatch(/^8 .* interrupted +7 .* 6 /m);
    expect(stdout).toContain('Run 7: Interrupted; goes on as run 8.');
  });

  it('goes on when an operator says so', async () => {
    stage.operator.runs = [runSummary({ status: 'stopped', endedAt: '2026-01-01T00:00:01Z' })];
    const { stdout } = await stage.run('run', 'resume', 'sensors', '7', '--checkpoint', '4');
    expect(stdout).toBe('Run 7 goes on from round 4 as run 200.\nNext: oneflower run watch sensors\n');
    expect((await stage.run('run', 'resume')).code).toBe(0);
    expect(stage.operator.resumed).toEqual([
      { runId: '7', round: '4' },
      { runId: '7', round: null },
    ]);
    expect((await stage.run('run', 'resume', '--checkpoint', 'last')).code).toBe(2);
  });

  it('lists what it can be resumed from', async () => {
    stage.operator.runs = [runSummary({})];
    expect((await stage.run('run', 'checkpoints')).stdout).toBe('Run 7 has no checkpoints.\n');
    const checkpoint = { round: 6, bytes: 1500, savedAt: '2026-01-01T00:00:00Z', metrics: { loss: 0.5 } };
    stage.operator.checkpoints = [{ ...checkpoint, best: true, final: true }];
    // Run 3 was one of an earlier service on the same disk: no list has it.
    for (const run of ['7', '3'])
      expect((await stage.run('run', 'checkpoints', 'sensors', run)).stdout).toMatch(
        /^6 +best, final +1\.5 kB +2026-01-01T00:00:00Z +loss 0\.5000$/m,
      );
  });
});

describe('runs side by side', () => {
  it('show what differs in their settings, and their curves', async () => {
    const rounds = (runId: string, losses: number[]) =>
      losses.map((loss, index) => ({
        ...{ runId, round: index + 1, seconds: 30, responded: 2, failed: 0, metrics: { loss } },
      }));
    const runs = [runSummary({ runId: '7' }), runSummary({ runId: '8' })];
    stage.operator.runs = runs;
    const [first, second] = runs;
    if (!first || !second) throw new Error('two runs');
    stage.operator.histories.set('7', {
      run: first,
      settings: { strategy: 'FedAvg', seed: 1 },
      rounds: rounds('7', [0.5, 0.25]),
    });
    stage.operator.histories.set('8', {
      run: second,
      settings: { strategy: 'FedAdam', seed: 1 },
      rounds: rounds('8', [0.75]),
    });
    const { stdout } = await stage.run('run', 'compare', 'sensors', '7', '8');
    expect(stdout).toMatch(/^time in rounds +1 min 0 s +30 s$/m);
    expect(stdout).toMatch(/^strategy +FedAvg +FedAdam$/m);
    expect(stdout).toContain('1 setting the same in all (--all shows them).');
    expect(stdout).toMatch(/^1 +0\.5000 +0\.7500\n2 +0\.2500 +-$/m);
    expect((await stage.run('run', 'compare', 'sensors', '7', '8', '--all')).stdout).toMatch(/^seed +1 +1$/m);
    const document = (await stage.run('run', 'compare', 'sensors', '8', '7', '--json')).document();
    expect(document).toMatchObject({ runs: [{ runId: '8' }, { runId: '7' }], metrics: [{ last: [0.75, 0.25] }] });
    const unknown = await stage.run('run', 'compare', 'sensors', '7', '9', '--json');
    expect(unknown.document()).toMatchObject({ error: { code: 'run-not-found' } });
  });
});
