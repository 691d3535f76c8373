import { appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OneFlowerError } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { checkpointsOf } from '../layout.ts';
import { runsWithCheckpoints } from './checkpoints.ts';
import type { RunSource } from './store.ts';
import { flowerRun, source, surroundings, world, writeCheckpoint } from './testing.ts';

const fault = 'No heartbeat received from the task';

type World = Awaited<ReturnType<typeof world>>;

function checkpointFolder({ layout, settings }: Pick<World, 'layout' | 'settings'>): string {
  return checkpointsOf(layout, settings) ?? '';
}

/** Two nodes, and the run of the variables, 101, at work. */
async function training(values: Record<string, string> = {}): Promise<World> {
  const all = await world(values);
  all.outside.online = 2;
  await all.keeper.tick();
  tellRound(all, '101', 1);
  return all;
}

function tellRound({ events }: Pick<World, 'events'>, run_id: string, round: number): void {
  events.emit('training_start', { run_id, strategy: 'FedAvg', num_rounds: 5, min_clients: 2 });
  const end = { num_clients_responded: 2, num_clients_failed: 0, round_duration_seconds: 1 };
  events.emit('round_end', { run_id, round, ...end, metrics: { loss: 1 / round } });
}

async function checkpointed(all: World, runId: string, round: number, changes?: object): Promise<void> {
  await writeCheckpoint(checkpointFolder(all), runId, round, changes);
  const data = { run_id: runId, round, file: `round-${round}.npz`, bytes: 10, best: false };
  all.events.emit('checkpoint_saved', data);
}

/** Flower says that a run has failed. */
function failIn({ outside }: Pick<World, 'outside'>, runId: string, details = fault): void {
  outside.runs = outside.runs.map(run =>
    run.runId === runId ? flowerRun({ ...run, status: 'finished', subStatus: 'failed', details }) : run,
  );
}

async function interrupt(all: World, runId: string, details = fault): Promise<void> {
  failIn(all, runId, details);
  await all.keeper.tick();
}

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

describe('an uploaded app', () => {
  async function uploaded(): Promise<World> {
    const all = await world({ FL_USE_CASE: 'none' });
    all.outside.online = 2;
    all.outside.runs = [flowerRun({ runId: '7', fabId: 'me/own' })];
    await all.keeper.add('7', { app: 'own', by: 'operator', source });
    return all;
  }

  it('is kept until its chain has ended', async () => {
    const all = await uploaded();
    await interrupt(all, '7');
    expect(all.outside.handedOver).toEqual([{ app: 'own', upload: source.upload, from: '' }]);
    expect(all.keeper.find('101')).toMatchObject({ app: 'own', submittedBy: 'operator', continues: '7' });
    expect(all.outside.uploads).toEqual([source.upload]);
    all.outside.runs = [flowerRun({ runId: '101', status: 'finished', subStatus: 'completed' })];
    await all.keeper.tick();
    expect(all.outside.uploads).toEqual([]);
  });

  it('that is gone ends the chain, and whoever follows it is told', async () => {
    const all = await uploaded();
    all.outside.refuse = new OneFlowerError({ code: 'app-gone', message: 'The app is no longer kept.' });
    await interrupt(all, '7');
    await all.keeper.tick();
    expect(all.outside.submitted).toBe(1);
    expect(all.keeper.find('7')).toMatchObject({ status: 'failed', resumes: false });
    expect(all.said('run_ended').map(({ data }) => data.resumes ?? false)).toEqual([true, false]);
  });

  it('is kept of three runs that did not complete', async () => {
    const all = await world({ FL_USE_CASE: 'none' });
    for (let run = 1; run <= 5; run++) {
      all.outside.runs = [flowerRun({ runId: String(run), status: 'finished', subStatus: 'stopped' })];
      const upload = `upload-00000000000${run}`;
      await all.keeper.add(String(run), { app: 'own', by: 'operator', source: { ...source, upload } });
      await all.keeper.tick();
    }
    expect(all.outside.uploads).toEqual([3, 4, 5].map(run => `upload-00000000000${run}`));
  });

  it('waits for as many nodes as it says itself', async () => {
    const all = await world({ FL_USE_CASE: 'none' });
    Object.assign(all.outside, { online: 2, runs: [flowerRun({ runId: '7' })] });
    await all.keeper.add('7', { app: 'own', by: 'operator', source: { ...source, leastNodes: 3 } });
    await interrupt(all, '7');
    expect(all.keeper.waitingFor()).toMatch(/once 3 SuperNodes are online; 2 are/);
  });
});

describe('a run that an operator resumes', () => {
  async function stopped(): Promise<World> {
    const all = await training();
    for (const round of [1, 2, 3]) await checkpointed(all, '101', round);
    all.outside.runs = [flowerRun({ runId: '101', status: 'finished', subStatus: 'stopped' })];
    await all.keeper.tick();
    return all;
  }

  it('goes on from its last checkpoint, or from the one that is named', async () => {
    const all = await stopped();
    await expect(all.keeper.resume('101', undefined)).resolves.toMatchObject({ runId: '102', continues: '101' });
    expect(all.outside.handedOver.at(-1)?.from).toBe('101/round-000003.npz');
    await expect(all.keeper.resume('101', 1)).resolves.toMatchObject({ runId: '103', checkpoint: 1 });
    expect(all.outside.handedOver.at(-1)?.from).toBe('101/round-000001.npz');
    await expect(all.keeper.checkpoints('103')).resolves.toMatchObject([{ round: 1 }]);
  });

  it('keeps the checkpoints that the run in its place has no copy of', async () => {
    const all = await training();
    for (const round of [1, 5]) await checkpointed(all, '101', round, { is_final: round === 5 });
    all.outside.runs = [flowerRun({ runId: '101', status: 'finished', subStatus: 'completed' })];
    await all.keeper.tick();
    await all.keeper.resume('101', 1);
    await checkpointed(all, '102', 5, { is_final: true });
    all.outside.runs = [flowerRun({ runId: '102', status: 'finished', subStatus: 'completed' })];
    await all.keeper.tick();
    expect(all.keeper.find('102')).toMatchObject({ status: 'completed' });
    await expect(all.keeper.checkpoints('101')).resolves.toMatchObject([{ round: 1 }, { round: 5 }]);
  });

  it('is refused with the reason', async () => {
    const all = await stopped();
    await expect(all.keeper.resume('9', undefined)).rejects.toMatchObject({ code: 'run-unknown' });
    await expect(all.keeper.resume('101', 4)).rejects.toMatchObject({
      code: 'checkpoint-unknown',
      reason: 'There are those of the rounds 1, 2, 3.',
    });
    await all.keeper.resume('101', undefined);
    await expect(all.keeper.resume('102', undefined)).rejects.toThrow('it has not ended');
    await expect(all.keeper.resume('101', undefined)).rejects.toThrow('run 102 goes on in its place');
  });

  it('is not tried again by itself when Flower refuses it', async () => {
    const all = await stopped();
    all.outside.refuse = new Error('bad app');
    await expect(all.keeper.resume('101', undefined)).rejects.toThrow('bad app');
    all.outside.refuse = undefined;
    for (let look = 0; look < 3; look++) await all.keeper.tick();
    expect(all.outside.submitted).toBe(2);
    expect(all.keeper.find('101')).toMatchObject({ status: 'stopped', resumes: false });
  });
});

describe('a new VM with the disk of an earlier one', () => {
  async function moved(changes: object = {}, values: Record<string, string> = {}): Promise<World> {
    const all = await surroundings(values);
    const folder = checkpointFolder(all);
    await writeCheckpoint(folder, '41', 1, { saved_at: '2025-01-01T00:00:00Z', is_final: true });
    for (const round of [2, 3]) await writeCheckpoint(folder, '42', round, changes);
    const keeper = await all.open();
    all.outside.online = 2;
    await keeper.tick();
    return { ...all, keeper };
  }

  it('goes on with the training that was never finished, and says so', async () => {
    const { keeper, outside, said, lines } = await moved();
    expect(outside.handedOver).toEqual([{ app: 'anomaly-detection', upload: null, from: '42/round-000003.npz' }]);
    expect(keeper.current()).toMatchObject({ runId: '101', continues: '42', round: 3, submittedBy: 'variables' });
    expect(said('run_resumed')[0]?.data).toEqual({ run_id: '101', continues: '42', round: 3 });
    expect(lines.join('\n')).toMatch(/Training goes on from round 3 of 5, where run 42 of an earlier VM/);
  });

  it('falls back on its checkpoints when it is interrupted before a new one', async () => {
    const all = await moved();
    await interrupt(all, '101');
    expect(all.outside.handedOver.at(-1)?.from).toBe('42/round-000003.npz');
  });

  it.each([
    [{ is_final: true }, {}, /has done all of its 5 rounds/],
    [{ num_rounds: 3 }, {}, /has done all of its 3 rounds/],
    [{ strategy: 'FedAdam' }, {}, /are of the strategy FedAdam, and FL_STRATEGY is FedAvg now/],
    [{}, { ML_FRAMEWORK: 'pytorch' }, /are of the framework sklearn, and ML_FRAMEWORK is pytorch now/],
    [{ app: 'other' }, {}, /run 41 of before has done all/],
    [{ sha256: '0'.repeat(64) }, {}, /no checkpoint of run 42 is sound/],
  ])('starts fresh, and says why: %o %o', async (changes, values, words) => {
    const { keeper, outside, lines } = await moved(changes, values);
    expect(outside.handedOver).toMatchObject([{ from: '' }]);
    expect(keeper.current()).toMatchObject({ continues: null, round: 0 });
    expect(lines.join('\n')).toMatch(words);
  });

  it('starts fresh where there is nothing', async () => {
    const { lines, outside } = await training();
    expect(outside.handedOver).toMatchObject([{ from: '' }]);
    expect(lines.join('\n')).toMatch(/Training starts fresh: there is no checkpoint of anomaly-detection from before/);
  });

  it('goes on once when its agent died while it was handed over', async () => {
    const all = await surroundings();
    await writeCheckpoint(checkpointFolder(all), '42', 3);
    all.outside.online = 2;
    all.outside.handingOver = new Promise(() => undefined);
    void (await all.open()).tick();
    await expect.poll(() => all.outside.submitted).toBe(1);
    all.outside.runs = [flowerRun({ runId: '500' })];
    await rm(join(checkpointFolder(all), '42'), { recursive: true });
    const next = await all.open();
    await next.tick();
    expect(all.outside.submitted).toBe(1);
    expect(next.find('500')).toMatchObject({ continues: '42', round: 3 });
  });
});
