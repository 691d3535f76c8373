import { appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runsWithCheckpoints } from './checkpoints.ts';
import type { RunSource } from './store.ts';
import {
  checkpointed,
  checkpointFolder,
  failIn,
  flowerRun,
  interrupt,
  source,
  tellRound,
  training,
  world,
} from './testing.ts';

describe('a run that was interrupted', () => {
  it.each([
    'No heartbeat received from the task',
    'Task failed with unknown error.',
    "ServerApp failed with exception: Client error '401' for url 'https://127.0.0.1:8000/v1/runtime/pull-messages'",
  ])('goes on from its last checkpoint: %s', async details => {
    const all = await training();
    const { keeper, outside, said } = all;
    await checkpointed(all, '101', 2);
    tellRound(all, '101', 3);
    await interrupt(all, '101', details);
    expect(outside.handedOver.at(-1)).toEqual({
      app: 'anomaly-detection',
      upload: null,
      from: '101/round-000002.npz',
    });
    const interrupted = 'Interrupted in round 4 of 5 because';
    expect(said('run_ended')[0]?.data).toMatchObject({ status: 'failed', details: expect.stringMatching(interrupted) });
    expect(said('run_resumed').map(({ data }) => data)).toEqual([{ run_id: '102', continues: '101', round: 2 }]);
    expect(keeper.list()).toMatchObject([
      { runId: '102', continues: '101', submittedBy: 'variables', round: 2, rounds: 5, checkpoint: 2, resumes: false },
      {
        runId: '101',
        continuedBy: '102',
        resumes: false,
        details: 'Interrupted in round 4 of 5; goes on from round 2 as run 102.',
      },
    ]);
    expect(keeper.waitingFor()).toBeNull();
  });

  it('starts over when it has no checkpoint yet', async () => {
    const all = await training();
    await interrupt(all, '101');
    expect(all.outside.handedOver.at(-1)?.from).toBe('');
    expect(all.keeper.find('101')?.details).toBe('Interrupted in round 2 of 5; starts over as run 102.');
    expect(all.keeper.find('102')).toMatchObject({ continues: '101', round: 0, checkpoint: null });
  });

  it('waits for its nodes, and says so', async () => {
    const all = await training();
    all.outside.online = 1;
    await interrupt(all, '101');
    expect(all.outside.submitted).toBe(1);
    expect(all.keeper.waitingFor()).toBe('Run 101 was interrupted and goes on once 2 SuperNodes are online; 1 are.');
    expect(all.keeper.current()).toMatchObject({ runId: '101', resumes: true });
    expect(all.keeper.isTraining()).toBe(true);
    all.outside.online = 2;
    await all.keeper.tick();
    expect(all.outside.submitted).toBe(2);
  });

  it('goes on when its agent died at any moment, and only once', async () => {
    const all = await training();
    await checkpointed(all, '101', 2);
    all.outside.handingOver = new Promise(() => undefined);
    failIn(all, '101');
    void all.keeper.tick();
    await expect.poll(() => all.outside.submitted).toBe(2);
    // Flower had it: its answer went to an agent that was gone.
    all.outside.runs = [flowerRun({ runId: '555' }), ...all.outside.runs];
    all.outside.handingOver = Promise.resolve();
    const next = await all.open();
    await next.tick();
    expect(all.outside.submitted).toBe(2);
    expect(next.find('555')).toMatchObject({ continues: '101', submittedBy: 'variables', checkpoint: 2 });
    await next.tick();
    expect(all.outside.submitted).toBe(2);
  });

  it('is handed over again when Flower did not get it', async () => {
    const all = await training();
    all.outside.refuse = new Error('no answer');
    await interrupt(all, '101');
    await all.keeper.tick();
    expect(all.keeper.waitingFor()).toBe('no answer');
    all.outside.refuse = undefined;
    await all.clock.advance(31_000);
    await all.keeper.tick();
    expect(all.outside.submitted).toBe(3);
    expect(all.keeper.waitingFor()).toBeNull();
  });

  it('passes over checkpoints that are damaged', async () => {
    const all = await training();
    for (const round of [1, 2, 3]) await checkpointed(all, '101', round);
    const folder = join(checkpointFolder(all), '101');
    await appendFile(join(folder, 'round-000003.npz'), 'more');
    const arrays = await readFile(join(folder, 'round-000002.npz'));
    arrays[0] = 0;
    await writeFile(join(folder, 'round-000002.npz'), arrays);
    await interrupt(all, '101');
    expect(all.outside.handedOver.at(-1)?.from).toBe('101/round-000001.npz');
    expect(all.lines.join('\n')).toMatch(/round-000003.*bytes instead of(.|\n)*round-000002.*SHA-256/);
  });

  it('starts over when the disk with its checkpoints is not there, and says so', async () => {
    const all = await training();
    await checkpointed(all, '101', 3);
    await rm(checkpointFolder(all), { recursive: true });
    await interrupt(all, '101');
    expect(all.outside.handedOver.at(-1)?.from).toBe('');
    expect(all.lines.join('\n')).toMatch(
      /\[WARNING\] Run 101 had a checkpoint of round 3, .*starts over.*FL_CHECKPOINT_PATH/,
    );
  });

  it('goes on again and again for as long as there are new checkpoints, in one chain', async () => {
    const all = await training();
    for (let round = 1; round <= 12; round++) {
      const runId = String(100 + round);
      await checkpointed(all, runId, round);
      await interrupt(all, runId);
    }
    expect(all.outside.submitted).toBe(13);
    const { rounds } = await all.keeper.history('113');
    expect(rounds.map(({ round }) => round)).toEqual([1]);
  });

  it('is given up after five resumes without a new checkpoint', async () => {
    const all = await training();
    await checkpointed(all, '101', 2);
    for (let run = 101; run < 110; run++) await interrupt(all, String(run));
    expect(all.outside.submitted).toBe(1 + 6);
    const last = all.keeper.current();
    expect(last).toMatchObject({ runId: '107', status: 'failed', resumes: false });
    expect(last?.details).toMatch(/interrupted 6 times in a row without a new checkpoint.*FL_CHECKPOINT_INTERVAL/);
    expect(all.keeper.waitingFor()).toBe(last?.details);
  });

  it('after all of its rounds is complete', async () => {
    const all = await training();
    all.events.emit('training_end', { run_id: '101', total_rounds: 5, total_duration_seconds: 9, metrics: {} });
    await interrupt(all, '101');
    expect(all.keeper.find('101')).toMatchObject({ status: 'completed', resumes: false });
    expect(all.outside.submitted).toBe(1);
  });

  it('has the rounds of all of its runs, each once', async () => {
    const all = await training();
    await checkpointed(all, '101', 2);
    tellRound(all, '101', 2);
    tellRound(all, '101', 3);
    await interrupt(all, '101');
    for (const round of [3, 4]) tellRound(all, '102', round);
    const { rounds, settings, run } = await all.keeper.history('102');
    expect(rounds.map(({ runId, round }) => [runId, round])).toEqual([
      ...[
        ['101', 1],
        ['101', 2],
      ],
      ...[
        ['102', 3],
        ['102', 4],
      ],
    ]);
    expect(run.runId).toBe('102');
    expect(settings).toEqual({ 'num-server-rounds': 5 });
    // Told once more after a restart of the agent.
    await all.keeper.close();
    expect((await (await all.open()).history('102')).rounds).toEqual(rounds);
  });

  it('leaves its checkpoints until the training is complete in its place', async () => {
    const all = await training();
    await checkpointed(all, '101', 2);
    await interrupt(all, '101');
    await checkpointed(all, '102', 4);
    await interrupt(all, '102');
    expect(await runsWithCheckpoints(checkpointFolder(all))).toEqual(['101', '102']);
    await checkpointed(all, '103', 5, { is_final: true });
    all.outside.runs = [flowerRun({ runId: '103', status: 'finished', subStatus: 'completed' })];
    await all.keeper.tick();
    expect(await runsWithCheckpoints(checkpointFolder(all))).toEqual(['103']);
  });

  it('does not go on when it was stopped meanwhile', async () => {
    const all = await training();
    all.outside.online = 0;
    await interrupt(all, '101');
    await all.keeper.dropResume('101');
    all.outside.online = 2;
    await all.keeper.tick();
    expect(all.outside.submitted).toBe(1);
    expect(all.keeper.find('101')).toMatchObject({ status: 'stopped', resumes: false });
    expect(all.said('run_ended').map(({ data }) => data.status)).toEqual(['failed', 'stopped']);
    await expect(all.keeper.dropResume('101')).rejects.toMatchObject({ code: 'run-ended' });
  });
});

it('a run that is just being handed over cannot be stopped yet, and it is said that it has not ended', async () => {
  const all = await training();
  all.outside.refuse = new Error('Flower does not answer');
  await interrupt(all, '101');
  await expect(all.keeper.dropResume('101')).rejects.toMatchObject({ code: 'run-resuming' });
});

describe('a run that has ended', () => {
  it('has all the rounds that its app has told, even in the last moment', async () => {
    const all = await training();
    all.outside.readJournal = async () => tellRound(all, '101', 2);
    all.outside.runs = [flowerRun({ runId: '101', status: 'finished', subStatus: 'completed' })];
    await all.keeper.tick();
    expect(all.said('run_ended')[0]?.data).toMatchObject({ status: 'completed', rounds_done: 2 });
  });
});

describe('a run that is not resumed', () => {
  it.each([
    'ServerApp failed with exception: No node, or too few, did what was asked',
    "ServerApp failed with exception: 'unknown error'",
    'ServerApp failed with exception: the checkpoint is of another model',
  ])('has failed by its own doing: %s', async details => {
    const all = await training();
    await checkpointed(all, '101', 2);
    await interrupt(all, '101', details);
    expect(all.outside.submitted).toBe(1);
    expect(all.keeper.find('101')).toMatchObject({ status: 'failed', details, resumes: false });
  });

  it.each(['completed', 'stopped'])('was %s', async subStatus => {
    const all = await training();
    all.outside.runs = [flowerRun({ runId: '101', status: 'finished', subStatus })];
    await all.keeper.tick();
    await (await all.open()).tick();
    expect(all.outside.submitted).toBe(1);
  });

  it('has checkpoints switched off', async () => {
    const all = await training({ FL_CHECKPOINT_ENABLED: 'NO' });
    await interrupt(all, '101');
    expect(all.outside.submitted).toBe(1);
    expect(all.keeper.waitingFor()).toMatch(
      /^The run was lost .* 1 of 5 rounds were done\..*FL_CHECKPOINT_ENABLED.*Submit it again/,
    );
  });

  it.each<[Partial<RunSource>, RegExp]>([
    [{ resumable: 'undeclared' }, /does not declare resume-from.*Submit it again/],
    [{ resumable: 'off' }, /checkpoint-enabled.*Submit it again/],
  ])('is of an own app that cannot be: %o', async (changes, words) => {
    const all = await world({ FL_USE_CASE: 'none' });
    all.outside.online = 2;
    all.outside.runs = [flowerRun({ runId: '7' })];
    await all.keeper.add('7', { app: 'own', by: 'operator', source: { ...source, ...changes } });
    await interrupt(all, '7');
    expect(all.outside.submitted).toBe(0);
    expect(all.keeper.find('7')?.details).toMatch(words);
  });
});
