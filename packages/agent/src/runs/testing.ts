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
  const { settings } = validate({ FL_USE_CASE: 'anomaly-detection', FL_MIN_AVAILABLE_CLIENTS: '2', ...values });
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
