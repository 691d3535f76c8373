import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FakeClock, validate } from '@oneflower/contract';
import type { ControlApi, FlowerRun } from '../flower-control/types.ts';
import { createEventHub } from '../journal/event-hub.ts';
import { checkpointsOf, layoutOf } from '../layout.ts';
import { keptLog } from '../testing/log.ts';
import { temporaryFolder } from '../testing/temporary.ts';
import { dropCheckpoints } from './checkpoints.ts';
import { RunKeeper } from './keeper.ts';
import type { RunSource } from './store.ts';

/** A run as Flower's list shows it. */
export function flowerRun(changes: Partial<FlowerRun> = {}): FlowerRun {
  return {
    ...{ runId: '9007199254740993', fabId: 'oneflower/anomaly-detection', fabVersion: '1', status: 'running' },
    ...{ subStatus: '', details: '', pendingAt: '', startingAt: '', runningAt: '2026-01-01T00:00:01Z', finishedAt: '' },
    ...changes,
  } as FlowerRun;
}

/** What is known of an app that was submitted. */
export const source: RunSource = {
  ...{ upload: 'upload-0123456789ab', runConfig: [], settings: { 'num-server-rounds': 5 } },
  ...{ resumable: 'yes', leastNodes: null },
};

/** For tests: what a keeper of runs has around it, with a Flower that takes what it is given. */
export async function surroundings(values: Record<string, string> = {}) {
  const clock = new FakeClock();
  const { log, lines } = keptLog(clock);
  const layout = layoutOf(await temporaryFolder(), '/opt/oneflower');
  for (const folder of [layout.appModels, layout.models, layout.runs]) await mkdir(folder, { recursive: true });
  const events = await createEventHub({ file: join(layout.state, 'events.jsonl'), clock, log });
  const outside = {
    runs: [] as FlowerRun[],
    online: 0,
    submitted: 0,
    handedOver: [] as { app: string; upload: string | null; from: string }[],
    uploads: [] as string[],
    handingOver: Promise.resolve(),
    readJournal: () => Promise.resolve(),
    refuse: undefined as Error | undefined,
    /** Flower has the run, but its answer is lost. */
    refusesLate: false,
  };
  const given = { FL_USE_CASE: 'anomaly-detection', FL_MIN_AVAILABLE_CLIENTS: '2', FL_NUM_ROUNDS: '5' };
  const { settings } = validate({ ...given, ...values });
  const open = () =>
    RunKeeper.open({
      ...{ layout, clock, log, events },
      settings: () => settings,
      flowerVersion: () => '1.41.0',
      control: () => ({ listRuns: async () => outside.runs }) as ControlApi,
      onlineNodes: () => outside.online,
      readJournal: () => outside.readJournal(),
      checkpoints: () => checkpointsOf(layout, settings),
      useCase: async () => ({ ...source, upload: null }),
      dropCheckpoints: runIds => dropCheckpoints(checkpointsOf(layout, settings) ?? '', runIds, undefined),
      async keepUploads(needed) {
        outside.uploads = [...needed];
      },
      async submit(app, { upload }, from) {
        outside.submitted++;
        outside.handedOver.push({ app, upload, from });
        await outside.handingOver;
        if (outside.refuse && !outside.refusesLate) throw outside.refuse;
        const run = flowerRun({ runId: String(100 + outside.submitted) });
        outside.runs = [run, ...outside.runs];
        if (outside.refuse) throw outside.refuse;
        return run.runId;
      },
    });
  const said = (name: string) => events.kept().filter(({ event }) => event === name);
  return { clock, lines, layout, settings, events, outside, open, said };
}

/** The same with a keeper that is open. */
export async function world(values: Record<string, string> = {}) {
  const all = await surroundings(values);
  return { ...all, keeper: await all.open() };
}

/** Writes a checkpoint as our code inside Flower does. */
export async function writeCheckpoint(root: string, runId: string, round: number, changes: object = {}): Promise<void> {
  const name = `round-${String(round).padStart(6, '0')}`;
  const arrays = `arrays of ${runId} after ${round}`;
  await mkdir(join(root, runId), { recursive: true });
  await writeFile(join(root, runId, `${name}.npz`), arrays);
  const manifest = {
    ...{ format: 1, run_id: runId, fab: null, app: 'anomaly-detection', framework: 'sklearn', strategy: 'FedAvg' },
    ...{ round, num_rounds: 5, file: `${name}.npz`, sha256: createHash('sha256').update(arrays).digest('hex') },
    ...{ bytes: arrays.length, arrays: {}, metrics: { loss: 1 / round }, history: [], best: null, is_best: false },
    ...{ is_final: false, details: {}, constants: [], saved_at: `2026-01-01T00:00:${String(round).padStart(2, '0')}Z` },
    ...changes,
  };
  await writeFile(join(root, runId, `${name}.json`), JSON.stringify(manifest));
}

/** What Flower says of a run whose ServerApp died. */
export const fault = 'No heartbeat received from the task';

/** A keeper of runs with what it has around it. */
export type World = Awaited<ReturnType<typeof world>>;

/** Where the runs leave their checkpoints. */
export function checkpointFolder({ layout, settings }: Pick<World, 'layout' | 'settings'>): string {
  return checkpointsOf(layout, settings) ?? '';
}

/** Two nodes, and the run of the variables, 101, at work. */
export async function training(values: Record<string, string> = {}): Promise<World> {
  const all = await world(values);
  all.outside.online = 2;
  await all.keeper.tick();
  tellRound(all, '101', 1);
  return all;
}

/** The app tells of a round that has ended. */
export function tellRound({ events }: Pick<World, 'events'>, run_id: string, round: number): void {
  events.emit('training_start', { run_id, strategy: 'FedAvg', num_rounds: 5, min_clients: 2 });
  const end = { num_clients_responded: 2, num_clients_failed: 0, round_duration_seconds: 1 };
  events.emit('round_end', { run_id, round, ...end, metrics: { loss: 1 / round } });
}

/** The app has written a checkpoint, and tells it. */
export async function checkpointed(all: World, runId: string, round: number, changes?: object): Promise<void> {
  await writeCheckpoint(checkpointFolder(all), runId, round, changes);
  const data = { run_id: runId, round, file: `round-${round}.npz`, bytes: 10, best: false };
  all.events.emit('checkpoint_saved', data);
}

/** Flower says that a run has failed. */
export function failIn({ outside }: Pick<World, 'outside'>, runId: string, details = fault): void {
  outside.runs = outside.runs.map(run =>
    run.runId === runId ? flowerRun({ ...run, status: 'finished', subStatus: 'failed', details }) : run,
  );
}

/** Flower lists a run as failed by a fault, and the keeper looks. */
export async function interrupt(all: World, runId: string, details = fault): Promise<void> {
  failIn(all, runId, details);
  await all.keeper.tick();
}
