import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { OneFlowerError } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { flowerRun, source, surroundings, training, world } from './testing.ts';

describe('the run of the variables', () => {
  it('waits until enough nodes are online, and says so', async () => {
    const { keeper, outside, said } = await world();
    outside.online = 1;
    await keeper.tick();
    expect(keeper.waitingFor()).toBe('2 SuperNodes must be online before training starts; 1 are.');
    expect(outside.submitted).toBe(0);
    outside.online = 2;
    await keeper.tick();
    expect(outside.submitted).toBe(1);
    expect(keeper.waitingFor()).toBeNull();
    expect(said('run_submitted')[0]?.data).toEqual({ run_id: '101', app: 'anomaly-detection', by: 'variables' });
  });

  it('is submitted once in the life of the VM', async () => {
    const { keeper, outside, open } = await world();
    outside.online = 2;
    await keeper.tick();
    await keeper.tick();
    const again = await open();
    await again.tick();
    expect(outside.submitted).toBe(1);
    expect(again.current()).toMatchObject({ runId: '101', submittedBy: 'variables', app: 'anomaly-detection' });
  });

  it('is not submitted with FL_USE_CASE=none', async () => {
    const { keeper, outside } = await world({ FL_USE_CASE: 'none' });
    outside.online = 5;
    await keeper.tick();
    expect(outside.submitted).toBe(0);
    expect(keeper.waitingFor()).toMatch(/has to be submitted/);
    await keeper.add('7', { app: 'own-app', by: 'operator', source });
    expect(keeper.waitingFor()).toBeNull();
  });

  it('is found again when the agent died while it submitted', async () => {
    const { layout, outside, open } = await world();
    outside.online = 2;
    outside.runs = [flowerRun({ runId: '77' }), flowerRun({ runId: '5', fabId: 'me/other' })];
    await writeFile(join(layout.state, 'runs.json'), JSON.stringify({ fromVariables: 'submitting', runs: [] }));
    const keeper = await open();
    await keeper.tick();
    await keeper.tick();
    expect(outside.submitted).toBe(0);
    expect(keeper.find('77')).toMatchObject({ submittedBy: 'variables' });
    expect(keeper.find('5')).toMatchObject({ submittedBy: 'operator' });
  });

  it('is submitted after all when Flower did not get it', async () => {
    const { layout, outside, open } = await world();
    outside.online = 2;
    await writeFile(join(layout.state, 'runs.json'), JSON.stringify({ fromVariables: 'submitting', runs: [] }));
    await (await open()).tick();
    expect(outside.submitted).toBe(1);
  });

  it('is submitted once when an operator stops a run in the meantime', async () => {
    const { keeper, outside } = await world();
    const handed = Promise.withResolvers<void>();
    outside.online = 2;
    outside.handingOver = handed.promise;
    const watchdog = keeper.tick();
    await expect.poll(() => outside.submitted).toBe(1);
    const operator = keeper.tick();
    await new Promise(resolve => setTimeout(resolve, 20));
    handed.resolve();
    await Promise.all([watchdog, operator]);
    expect(outside.submitted).toBe(1);
  });

  it('is not submitted again when Flower has it although its answer was lost', async () => {
    const { keeper, outside, clock } = await world();
    outside.online = 2;
    Object.assign(outside, { refuse: new Error('no answer after 60 s'), refusesLate: true });
    await keeper.tick();
    await clock.advance(60_000);
    await keeper.tick();
    await keeper.tick();
    expect(outside.submitted).toBe(1);
    expect(keeper.find('101')).toMatchObject({ submittedBy: 'variables', app: 'anomaly-detection' });
    expect(keeper.waitingFor()).toBeNull();
  });

  it('is not taken for a run of the same app that was there before', async () => {
    const { keeper, outside, open } = await world();
    outside.runs = [flowerRun({ runId: '77' })];
    await keeper.tick();
    outside.online = 2;
    outside.handingOver = new Promise(() => undefined);
    void keeper.tick();
    await expect.poll(() => outside.submitted).toBe(1);
    outside.handingOver = Promise.resolve();
    await (await open()).tick();
    expect(outside.submitted).toBe(2);
  });

  it('is not submitted while that cannot be written down', async () => {
    const { keeper, outside, layout } = await world();
    outside.online = 2;
    await rm(join(layout.state, 'runs.json'), { force: true });
    await mkdir(join(layout.state, 'runs.json'));
    await keeper.tick();
    expect(outside.submitted).toBe(0);
    expect(keeper.waitingFor()).toContain('Cannot write');
  });

  it('is tried again, not too often, when Flower refuses it', async () => {
    const { keeper, outside, clock, lines } = await world();
    outside.online = 2;
    outside.refuse = new OneFlowerError({ code: 'run-refused', message: 'Flower did not take the run: bad app' });
    for (let second = 0; second < 90; second += 2) {
      await keeper.tick();
      await clock.advance(2000);
    }
    expect(outside.submitted).toBe(3);
    expect(keeper.waitingFor()).toContain('bad app');
    expect(lines.filter(line => line.includes('cannot be submitted'))).toHaveLength(1);
    outside.refuse = undefined;
    await clock.advance(30_000);
    await keeper.tick();
    expect(keeper.waitingFor()).toBeNull();
  });
});

describe('a run', () => {
  async function running() {
    const all = await world();
    all.outside.online = 2;
    await all.keeper.tick();
    const data = { run_id: '101', strategy: 'FedAvg', num_rounds: 5, min_clients: 2 };
    all.events.emit('training_start', data);
    all.events.emit('round_start', { run_id: '101', round: 2, num_clients_selected: 2 });
    const end = { num_clients_responded: 2, num_clients_failed: 0, round_duration_seconds: 1 };
    all.events.emit('round_end', { run_id: '101', round: 2, ...end, metrics: { loss: 0.5 } });
    return all;
  }

  it('is followed by events', async () => {
    const { keeper } = await running();
    await keeper.tick();
    expect(keeper.current()).toMatchObject({ status: 'running', round: 2, rounds: 5, metrics: { loss: 0.5 } });
    expect(keeper.isTraining()).toBe(true);
  });

  it('that stands still for want of nodes says so until a round begins, also to the next agent', async () => {
    const { keeper, events, outside, open } = await running();
    outside.online = 1;
    events.emit('waiting_for_nodes', { run_id: '101', wanted: 2, online: 1 });
    expect(keeper.waitingFor()).toBe('Run 101 waits for nodes: 1 of 2 online.');
    await keeper.close();
    const next = await open();
    expect(next.waitingFor()).toBe('Run 101 waits for nodes: 1 of 2 online.');
    outside.online = 2;
    expect(next.waitingFor()).toBeNull();
    events.emit('round_start', { run_id: '101', round: 3, num_clients_selected: 2 });
    outside.online = 1;
    expect(next.waitingFor()).toBeNull();
  });

  it('that has ended waits for nothing', async () => {
    const { keeper, events, outside } = await running();
    outside.online = 0;
    events.emit('waiting_for_nodes', { run_id: '101', wanted: 2, online: 0 });
    outside.runs = [flowerRun({ runId: '101', status: 'finished', subStatus: 'stopped' })];
    await keeper.tick();
    expect(keeper.waitingFor()).toBeNull();
  });

  it.each(['completed', 'stopped', 'failed'] as const)('that is %s is told once', async subStatus => {
    const { keeper, outside, said, open } = await running();
    const finishedAt = '2026-01-01T01:00:00Z';
    outside.runs = [flowerRun({ runId: '101', status: 'finished', subStatus, details: 'why', finishedAt })];
    await keeper.tick();
    await keeper.tick();
    await keeper.flushed();
    await (await open()).tick();
    expect(said('run_ended').map(({ data }) => data)).toEqual([
      { run_id: '101', status: subStatus, details: 'why', rounds_done: 2 },
    ]);
    expect(keeper.current()).toMatchObject({ status: subStatus, endedAt: finishedAt });
    expect(keeper.isTraining()).toBe(false);
  });

  it('that is lost claims nothing about rounds that its app does not tell', async () => {
    const { keeper, outside } = await world();
    const details = 'Task failed with unknown error.';
    outside.runs = [flowerRun({ runId: '5', status: 'finished', subStatus: 'failed', details })];
    await keeper.tick();
    expect(keeper.current()?.details).toMatch(
      /^The run was lost .*; the app does not tell its rounds\. It is not resumed, as it was not submitted through OneFlower\. Submit/,
    );
  });

  it('is kept before its run counts as ended', async () => {
    const { keeper, outside, layout, events } = await training();
    await writeFile(join(layout.appModels, '101.npz'), 'weights');
    outside.readJournal = async () => {
      events.emit('model_written', { run_id: '101', file: '101.npz', round: 5, metrics: {} });
      outside.readJournal = async () => undefined;
    };
    outside.runs = [flowerRun({ runId: '101', status: 'finished', subStatus: 'completed' })];
    await keeper.tick();
    expect(keeper.find('101')).toMatchObject({ endedAt: null });
    await expect.poll(() => keeper.find('101')?.model).toBe(true);
    await keeper.tick();
    expect(keeper.find('101')).toMatchObject({ status: 'completed', model: true });
  });

  it('leaves its model behind', async () => {
    const { keeper, layout, events, said, lines } = await running();
    await writeFile(join(layout.appModels, '101.npz'), 'weights');
    await writeFile(join(layout.appModels, '101.json'), '{"columns":["a"]}');
    events.emit('model_written', { run_id: '101', file: '101.npz', round: 5, metrics: {} });
    await expect.poll(() => said('model_saved')).toHaveLength(1);
    expect(keeper.current()?.model).toBe(true);
    await expect(readFile(join(layout.models, '101/model.npz'), 'utf8')).resolves.toBe('weights');
    const manifest = JSON.parse(await readFile(join(layout.models, '101/manifest.json'), 'utf8'));
    expect(manifest.details).toEqual({ columns: ['a'] });
    expect(lines.filter(line => line.includes('[WARNING]'))).toEqual([]);
  });

  it('that tells of its model twice at once leaves it once, and whole', async () => {
    const { keeper, layout, events, lines, said } = await running();
    await writeFile(join(layout.appModels, '101.npz'), 'x'.repeat(1_000_000));
    const written = { run_id: '101', file: '101.npz', round: 5, metrics: {} };
    events.emit('model_written', written);
    events.emit('model_written', written);
    await expect.poll(() => keeper.find('101')?.model).toBe(true);
    await keeper.close();
    await setImmediate();
    expect(said('model_saved')).toHaveLength(1);
    expect(lines.join('')).not.toContain('[ERROR]');
    expect(await readFile(join(layout.models, '101/model.npz'), 'utf8')).toHaveLength(1_000_000);
  });

  it('that has told of rounds and its model before anybody listened has not told in vain', async () => {
    const { layout, events, open, said, outside } = await surroundings();
    outside.runs = [flowerRun({ runId: '7' })];
    const end = { num_clients_responded: 2, num_clients_failed: 0, round_duration_seconds: 1 };
    await writeFile(join(layout.appModels, '7.npz'), 'weights');
    events.emit('training_start', { run_id: '7', strategy: 'FedAvg', num_rounds: 5, min_clients: 2 });
    events.emit('round_end', { run_id: '7', round: 5, ...end, metrics: { loss: 0.5 } });
    events.emit('model_written', { run_id: '7', file: '7.npz', round: 5, metrics: {} });
    const keeper = await open();
    await keeper.tick();
    await expect.poll(() => said('model_saved')).toHaveLength(1);
    expect(keeper.find('7')).toMatchObject({ round: 5, rounds: 5, metrics: { loss: 0.5 }, model: true });
  });

  it('that an app makes up is none, and is spoken of once', async () => {
    const { keeper, layout, events, lines, said, open } = await running();
    const invent = (run_id: string) =>
      events.emit('training_start', { run_id, strategy: 'FedAvg', num_rounds: 5, min_clients: 2 });
    await writeFile(join(layout.appModels, '9.npz'), 'weights');
    for (let id = 1000; id < 1500; id++) invent(String(id));
    for (const id of ['', '../../etc', '1'.repeat(21), '12a']) invent(id);
    events.emit('model_written', { run_id: '1000', file: '9.npz', round: 5, metrics: {} });
    await keeper.tick();
    invent('2000');
    await keeper.tick();
    expect(keeper.list()).toMatchObject([{ runId: '101' }]);
    expect(said('model_saved')).toEqual([]);
    expect(lines.filter(line => line.includes('[WARNING] An app tells of runs'))).toHaveLength(1);
    await keeper.flushed();
    expect((await open()).list()).toHaveLength(1);
  });

  it('that is quicker than the answer of its submission is followed from its first word', async () => {
    const { keeper, events, lines } = await world({ FL_USE_CASE: 'none' });
    events.emit('training_start', { run_id: '7', strategy: 'FedAvg', num_rounds: 5, min_clients: 2 });
    events.emit('round_start', { run_id: '7', round: 1, num_clients_selected: 2 });
    await keeper.add('7', { app: 'own-app', by: 'operator', source });
    expect(keeper.find('7')).toMatchObject({ rounds: 5, round: 1, app: 'own-app' });
    await keeper.tick();
    expect(lines.filter(line => line.includes('[WARNING]'))).toEqual([]);
  });

  it('that is old is forgotten for good, and told of no more', async () => {
    const { keeper, outside, said, open } = await world({ FL_USE_CASE: 'none' });
    const ended = (id: number) => flowerRun({ runId: String(id), status: 'finished', subStatus: 'completed' });
    outside.runs = [flowerRun({ runId: '1' })];
    await keeper.tick();
    outside.runs = Array.from({ length: 300 }, (_, index) => ended(300 - index));
    for (let look = 0; look < 3; look++) await keeper.tick();
    const ids = Array.from({ length: 200 }, (_, index) => String(300 - index));
    expect(keeper.list().map(({ runId }) => runId)).toEqual(ids);
    expect(said('run_ended')).toHaveLength(201);
    outside.runs = [ended(301), ...outside.runs];
    await keeper.tick();
    await keeper.flushed();
    expect((await open()).list().map(({ runId }) => runId)).toEqual(['301', ...ids.slice(0, -1)]);
    expect(said('run_ended')).toHaveLength(202);
  });

  it('is followed no more by a keeper that was closed', async () => {
    const { keeper, events, open } = await running();
    await keeper.close();
    const next = await open();
    events.emit('round_start', { run_id: '101', round: 3, num_clients_selected: 2 });
    expect([keeper.current()?.round, next.current()?.round]).toEqual([2, 3]);
  });

  it('that Flower knows no longer has ended', async () => {
    const { keeper, outside, said } = await running();
    outside.runs = [];
    await keeper.tick();
    await keeper.tick();
    expect(said('run_ended').map(({ data }) => data.details)).toEqual([expect.stringContaining('FL_DATABASE')]);
    expect(outside.handedOver.at(-1)).toEqual({ app: 'anomaly-detection', upload: null, from: '' });
  });

  it('of somebody else is shown too', async () => {
    const { keeper, outside } = await world();
    outside.runs = [flowerRun({ runId: '5', fabId: 'me/other' })];
    await keeper.tick();
    expect(keeper.list()).toMatchObject([{ runId: '5', app: 'me/other', submittedBy: 'operator' }]);
  });

  it('is not guessed when the record is damaged', async () => {
    const { layout, open } = await world();
    await writeFile(join(layout.state, 'runs.json'), '{"fromVari');
    await expect(open()).rejects.toMatchObject({ code: 'state_write_failed', fault: 'user' });
  });
});
