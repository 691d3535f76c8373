import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeProblem, runConfigOf, validate } from '@oneflower/contract';
import { execa } from 'execa';
import * as z from 'zod';
import { testSoftware } from './software.ts';

const flower = join(import.meta.dirname, '..', '..', 'flower');

const Document = z.object({
  sha256: z.string().nullable(),
  rounds: z.array(z.object({ round: z.int(), metrics: z.record(z.string(), z.number()), failed: z.int() })),
  events: z.array(z.object({ event: z.string(), data: z.record(z.string(), z.unknown()) })),
  error: z.string().nullable(),
});

/** What a run in one process came to. */
export type LocalRun = z.infer<typeof Document> & {
  /** Rounds whose checkpoints are there at the end. */
  checkpoints: number[];
};

/** How a run in one process is set up. */
export interface LocalRunOptions {
  nodes?: number;
  /** Data folders, one for each node; without any, few rows that differ from node to node. */
  data?: readonly string[];
  /** Another app than anomaly detection, which declares some of the keys only, and values for keys of its own. */
  app?: { folder: string; keys: readonly string[]; pairs: readonly string[] };
}

const made = new Map<string, Promise<LocalRun>>();

/**
 * Runs anomaly detection as context variables describe it, from their text to the trained model: validation, run
 * configuration, Flower's own parser, ServerApp, strategy and ClientApps, all in one Python process. The same again is
 * not run again: seeds are fixed.
 */
export function localRun(given: Record<string, string>, options: LocalRunOptions = {}): Promise<LocalRun> {
  const key = JSON.stringify([given, options]);
  const run = made.get(key) ?? runOnce(given, options);
  made.set(key, run);
  return run;
}

async function runOnce(given: Record<string, string>, { nodes = 3, data, app }: LocalRunOptions): Promise<LocalRun> {
  const { settings, problems } = validate({ FL_USE_CASE: 'anomaly-detection', FL_NUM_ROUNDS: '2', ...given });
  if (problems.length > 0) throw new Error(problems.map(describeProblem).join(' '));
  const scratch = await mkdtemp(join(tmpdir(), 'oneflower-local-run-'));
  const checkpoints = join(scratch, 'checkpoints');
  await mkdir(checkpoints);
  try {
    const folder = app?.folder ?? join(flower, 'apps', 'anomaly-detection');
    const args = ['-m', 'oneflower.local', folder, '--nodes', String(nodes)];
    const pairs = runConfigOf(settings).filter(pair => !app || app.keys.includes(pair.split('=')[0] ?? ''));
    for (const pair of [...pairs, ...(app?.pairs ?? [])]) args.push('--run-config', pair);
    if (!app) args.push('--data', ...(data ?? (await fewRows(scratch, nodes))));
    const env = { ...process.env, PYTHONPATH: join(flower, 'src'), ONEFLOWER_CHECKPOINTS: checkpoints };
    return { ...Document.parse(JSON.parse(await printed(args, env))), checkpoints: await roundsIn(checkpoints) };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Sensor rows by whole numbers alone, so that they are the same everywhere. */
async function fewRows(folder: string, nodes: number): Promise<string[]> {
  const folders = Array.from({ length: nodes }, (_, node) => join(folder, `node-${node}`));
  for (const [node, path] of folders.entries()) {
    const rows = Array.from({ length: 80 }, (_, row) => {
      const anomaly = (row * 17 + node) % 7 === 0 ? 1 : 0;
      return `${((row * 37 + node * 11) % 101) + anomaly * 60},${(row * 53 + node * 29) % 89},${anomaly}`;
    });
    await mkdir(path);
    await writeFile(join(path, 'rows.csv'), ['first,second,label', ...rows, ''].join('\n'));
  }
  return folders;
}

/** What Python has printed: a run that fails prints its document too, and ends with 1. */
async function printed(args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  const { stdout, exitCode, stderr } = await execa(testSoftware().python, args, { env, reject: false, buffer: true });
  if (exitCode === 0 || exitCode === 1) return stdout;
  throw new Error(`oneflower.local ended with ${exitCode}: ${stderr.slice(-2000)}`);
}

async function roundsIn(folder: string): Promise<number[]> {
  const names = await readdir(folder, { recursive: true });
  const rounds = names.flatMap(name => /round-(\d+)\.json$/.exec(name)?.[1] ?? []);
  return rounds.map(Number).sort((a, b) => a - b);
}
