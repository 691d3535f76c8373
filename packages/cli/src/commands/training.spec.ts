import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runSummary } from '../testing/operator-server.ts';
import { roundEnd, runEnded, trainingStart } from '../testing/run-events.ts';
import { openStage, type Stage } from '../testing/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

const withUseCase = ['--set', 'FL_USE_CASE=anomaly-detection'];

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

  it('with --wait follows its training through an interruption', async () => {
    const endedAt = '2026-01-01T00:00:01Z';
    stage.operator.runs = [
      runSummary({ runId: '8', status: 'completed', endedAt, continues: '7', model: true }),
      runSummary({ runId: '7', status: 'failed', endedAt, continuedBy: '8' }),
    ];
    stage.operator.tell(
      trainingStart,
      { event: 'run_ended', data: { ...runEnded.data, status: 'failed', details: 'Interrupted.', resumes: true } },
      { event: 'run_resumed', data: { run_id: '8', continues: '7', round: 0 } },
      { event: 'run_ended', data: { ...runEnded.data, run_id: '8' } },
    );
    const deployed = await stage.run('deploy', ...withUseCase, '--wait');
    expect(deployed.stderr).toMatch(/Run 7: interrupted\.\n(.*\n)*Run 8: starts over in place of run 7/);
    expect(deployed.stdout).toContain('Run 8 is completed');
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
