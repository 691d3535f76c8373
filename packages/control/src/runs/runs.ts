import {
  type CheckpointSummary,
  type Clock,
  nearest,
  OneFlowerError,
  type RunHistory,
  type RunSummary,
  sleep,
} from '@oneflower/contract';
import type { Notify } from '../notify.ts';
import type { OperatorClient } from '../operator/client.ts';
import { connectOperator, type OperatorPlace } from '../operator/connect.ts';
import { askPatiently, followEvents } from '../operator/follow.ts';
import { packApp } from './pack.ts';

/** Which service's runs, and how one is told what happens. */
export interface RunsContext extends OperatorPlace {
  service: string;
  clock: Clock;
  notify: Notify;
  signal?: AbortSignal | undefined;
}

/** The runs of a service, latest first. */
export function listRuns(context: RunsContext): Promise<RunSummary[]> {
  return withOperator(context, async operator => latestFirst(await operator.runs()));
}

/**
 * Submits an app's folder. `overrides` are KEY=VALUE of the run config; `from` is RUN or RUN/ROUND, whose checkpoint
 * the app begins with.
 * @throws OneFlowerError `app-folder`, `app-too-large`, and what the operator API answers.
 */
export async function submitRun(
  context: RunsContext,
  folder: string,
  overrides: readonly string[],
  from?: string,
): Promise<RunSummary> {
  const { archive, files } = await packApp(folder);
  context.notify({ type: 'app_packed', files, bytes: archive.length });
  return withOperator(context, operator => operator.submit(archive, overrides, from));
}

/** Lets a run that has ended go on from its last checkpoint, or from that of a round; the latest when none is named. */
export function resumeRun(context: RunsContext, request: { runId?: string | undefined; round?: number | undefined }) {
  return withOperator(context, async operator => {
    const run = await pickRun(operator, context.service, request.runId);
    return operator.resume(run.runId, request.round);
  });
}

/** What a run can be resumed from; the latest one when none is named. */
export function listCheckpoints(
  context: RunsContext,
  runId?: string,
): Promise<{ runId: string; checkpoints: CheckpointSummary[] }> {
  return withOperator(context, async operator => {
    // A run of an earlier VM is in no list: only the SuperLink can tell, by its disk.
    const isId = runId !== undefined && /^\d{1,20}$/.test(runId);
    const meant = isId ? runId : (await pickRun(operator, context.service, runId)).runId;
    return { runId: meant, checkpoints: await operator.checkpoints(meant) };
  });
}

/** Settings and rounds of runs, each with those of the runs that it continues. */
export function readHistories(context: RunsContext, runIds: readonly string[]): Promise<RunHistory[]> {
  return withOperator(context, async operator => {
    const histories: RunHistory[] = [];
    for (const runId of runIds) {
      const run = await pickRun(operator, context.service, runId);
      histories.push(await operator.history(run.runId));
    }
    return histories;
  });
}

/** Asks a run to stop; the latest one that has not ended when none is named. */
export function stopRun(context: RunsContext, runId?: string): Promise<RunSummary> {
  return withOperator(context, async operator => {
    const run = await pickRun(operator, context.service, runId);
    await operator.stop(run.runId);
    return pickRun(operator, context.service, run.runId);
  });
}

/**
 * Follows a run until it has ended, and the runs that go on in its place when it is interrupted; its events go to
 * `notify`. A SuperLink that is away, from the start or in between, is waited for.
 * @returns the last run as it is at the end.
 */
export async function watchRun(context: RunsContext, runId?: string): Promise<RunSummary> {
  const { clock, notify, signal } = context;
  const following = { connect: () => connectOperator(context, context.service), clock, notify, signal };
  const pick = (wanted?: string) => askPatiently(following, operator => pickRun(operator, context.service, wanted));
  const run = await pick(runId);
  const rest = await askPatiently(following, async operator => successorsOf(run, await operator.runs()));
  const last = rest.at(-1) ?? run;
  if (hasEnded(last) && !last.resumes) return last;
  let followed = run.runId;
  let begun = false;
  const later = rest.map(next => next.runId);
  for await (const numbered of followEvents({ ...following, after: 0 })) {
    const { event } = numbered;
    const about = 'run_id' in event.data ? event.data.run_id : undefined;
    if (event.event === 'run_resumed' && event.data.continues === followed && later.length === 0)
      later.push(event.data.run_id);
    // Not at that event alone: of runs long ago the SuperLink keeps none.
    if (about !== undefined && later.includes(about)) {
      later.splice(0, later.indexOf(about) + 1);
      followed = about;
    }
    begun ||= about === followed;
    // What happened before the run, and to other runs, is not of interest.
    if (!begun || (about !== undefined && about !== followed)) continue;
    notify({ type: 'flower_event', ...numbered });
    if (event.event === 'run_ended' && event.data.resumes !== true && !(await goesOn(pick, followed))) break;
  }
  return pick(followed);
}

/** The runs that go on in a run's place, one after the other. */
function successorsOf({ continuedBy }: RunSummary, runs: readonly RunSummary[]): RunSummary[] {
  const next = runs.find(run => run.runId === continuedBy);
  const others = runs.filter(run => run !== next);
  return next ? [next, ...successorsOf(next, others)] : [];
}

/** An operator may have let a run go on that had ended for good. */
async function goesOn(pick: (runId: string) => Promise<RunSummary>, runId: string): Promise<boolean> {
  return (await pick(runId)).continuedBy !== null;
}

/** Milliseconds between two looks at a log. */
const logPollMs = 500;
/** The SuperLink begins to fetch a log from Flower when it is asked for first, so the first answers may be empty. */
const quietLooks = { running: 4, ended: 40 };

/**
 * The log of a run, piece by piece; with `follow` until the run has ended, else what there is now.
 * The text comes from apps: control characters in it are the reader's to handle.
 */
export async function* readLogs(
  context: RunsContext,
  options: { runId?: string | undefined; follow: boolean },
): AsyncGenerator<string> {
  const { clock, signal } = context;
  const operator = await connectOperator(context, context.service);
  try {
    const run = await pickRun(operator, context.service, options.runId);
    const patience = hasEnded(run) ? quietLooks.ended : quietLooks.running;
    for (let after = 0, quiet = 0; ; ) {
      const page = await operator.logs(run.runId, after, signal);
      if (page.text !== '') yield page.text;
      const more = page.next > after;
      after = page.next;
      quiet = more ? 0 : quiet + 1;
      if (more) continue;
      if (page.ended || (!options.follow && quiet >= patience)) return;
      await sleep(clock, logPollMs, signal);
    }
  } finally {
    await operator.close();
  }
}

export function hasEnded(run: RunSummary): boolean {
  return run.status === 'completed' || run.status === 'failed' || run.status === 'stopped';
}

/** Runs `use` with a connected operator API, which is closed afterwards. */
export async function withOperator<Result>(
  context: OperatorPlace & { service: string },
  use: (operator: OperatorClient) => Promise<Result>,
): Promise<Result> {
  const operator = await connectOperator(context, context.service);
  try {
    return await use(operator);
  } finally {
    await operator.close();
  }
}

async function pickRun(operator: OperatorClient, service: string, runId: string | undefined): Promise<RunSummary> {
  const runs = latestFirst(await operator.runs());
  const run =
    runId === undefined
      ? (runs.find(one => !hasEnded(one)) ?? runs.find(one => one.resumes) ?? runs[0])
      : runs.find(one => one.runId === runId);
  if (run) return run;
  const meant =
    runId === undefined
      ? undefined
      : nearest(
          runId,
          runs.map(one => one.runId),
        );
  throw new OneFlowerError({
    code: 'run-not-found',
    message:
      runId === undefined
        ? `The service ${service} has no runs.`
        : `The service ${service} has no run ${runId}.${meant ? ` Did you mean ${meant}?` : ''}`,
    remedy:
      runs.length > 0
        ? `List them with oneflower run list ${service}.`
        : `Submit one with oneflower run submit ${service} DIR, or deploy with FL_USE_CASE set.`,
    fault: 'user',
  });
}

/** Runs that have not started come first. */
function latestFirst(runs: RunSummary[]): RunSummary[] {
  return runs.toSorted((a, b) => (b.startedAt ?? '9').localeCompare(a.startedAt ?? '9'));
}
