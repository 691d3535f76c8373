import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { resumeKey } from '@oneflower/contract';
import { parse } from 'smol-toml';
import * as z from 'zod';
import type { RunSource } from './store.ts';

type Scalar = string | number | boolean;

/** What an app's pyproject.toml declares. */
export interface AppDeclaration {
  name: string;
  /** Run configuration with its defaults; nested tables have dotted keys, as Flower makes them. */
  config: Record<string, Scalar>;
}

const Pyproject = z.object({
  project: z.object({ name: z.string().max(100) }),
  tool: z.object({ flwr: z.object({ app: z.object({ config: z.record(z.string(), z.unknown()).optional() }) }) }),
});

const largestPyproject = 1024 * 1024;

/** Reads an app's declaration. Of one that cannot be read nothing is declared: Flower says itself what it refuses. */
export async function readApp(folder: string): Promise<AppDeclaration> {
  try {
    const { project, tool } = Pyproject.parse(parse(await readText(join(folder, 'pyproject.toml'))));
    return { name: project.name, config: flatten(tool.flwr.app.config ?? {}) };
  } catch {
    return { name: 'app', config: {} };
  }
}

/**
 * What is needed to submit an app once more.
 *
 * @param upload folder below the agent's runs that holds it; null for the app that comes with OneFlower.
 */
export function sourceOf({ config }: AppDeclaration, upload: string | null, runConfig: readonly string[]): RunSource {
  const settings = { ...config, ...Object.assign({}, ...runConfig.map(readPair)) } as Record<string, Scalar>;
  const least = settings['min-available-clients'];
  const declared = Object.hasOwn(config, resumeKey);
  const resumable = declared ? (settings['checkpoint-enabled'] === false ? 'off' : 'yes') : 'undeclared';
  delete settings[resumeKey];
  return { upload, runConfig: [...runConfig], settings, resumable, leastNodes: isCount(least) ? least : null };
}

/** The run configuration of a submission that goes on from a checkpoint; empty `from`: a fresh start. */
export function runConfigFrom({ runConfig }: RunSource, from: string): string[] {
  if (from === '') return runConfig;
  return [...runConfig.filter(pair => !pair.startsWith(`${resumeKey}=`)), `${resumeKey}=${JSON.stringify(from)}`];
}

/** Values are TOML; what is not is for Flower to refuse. */
function readPair(pair: string): Record<string, Scalar> {
  try {
    return flatten(parse(pair));
  } catch {
    const at = pair.indexOf('=');
    return { [pair.slice(0, at)]: pair.slice(at + 1) };
  }
}

function flatten(table: object, prefix = ''): Record<string, Scalar> {
  const flat: Record<string, Scalar> = {};
  for (const [key, value] of Object.entries(table)) {
    if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
      flat[prefix + key] = value;
    else if (typeof value === 'object' && value !== null) Object.assign(flat, flatten(value, `${prefix}${key}.`));
  }
  return flat;
}

function isCount(value: Scalar | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0;
}

async function readText(path: string): Promise<string> {
  const file = await open(path);
  try {
    if ((await file.stat()).size > largestPyproject) throw new Error('it is too large');
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
