import { spawn } from 'node:child_process';
import { chown, cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatHostPort, type HostPort, OneFlowerError } from '@oneflower/contract';
import * as z from 'zod';
import { type FileOwner, removeHandedOver, writeFileAtomic } from '../files.ts';
import type { Layout } from '../layout.ts';
import { type FlowerSetting, flowerEnvironment } from '../supervision/flower.ts';
import { guestMark } from '../supervision/processes.ts';

/** Name of the connection in the configuration of `flwr`. */
const connection = 'oneflower';

/** Writes the configuration of `flwr` that leads to the SuperLink's own Flower on loopback. */
export async function writeConnection(
  layout: Layout,
  address: HostPort,
  caFile: string | undefined,
  owner: FileOwner | undefined,
): Promise<void> {
  const trust = caFile === undefined ? 'insecure = true' : `root-certificates = ${JSON.stringify(caFile)}`;
  const lines = [
    '[superlink]',
    `default = "${connection}"`,
    '',
    `[superlink.${connection}]`,
    `address = ${JSON.stringify(formatHostPort(address))}`,
    trust,
    '',
  ];
  await writeFileAtomic(join(layout.flowerHome, 'config.toml'), lines.join('\n'), { mode: 0o600, owner });
}

/** Copies an app that comes with OneFlower to where Flower's user can read it, whatever the image's modes are. */
export async function copyApp(
  layout: Layout,
  name: string,
  owner: FileOwner | undefined,
  target = join(layout.runs, `app-${name}`),
): Promise<string> {
  await removeHandedOver(target, owner);
  await mkdir(target, { mode: 0o700 });
  await cp(join(layout.software.apps, name), target, {
    recursive: true,
    filter: source => !source.includes('__pycache__'),
  });
  if (owner) await chownAll(target, owner);
  return target;
}

/** Gives a folder and all in it to Flower's user. */
export async function chownAll(folder: string, owner: FileOwner): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true })) {
    await chown(join(folder, entry), owner.uid, owner.gid);
  }
  await chown(folder, owner.uid, owner.gid);
}

const Answer = z.object({
  success: z.boolean(),
  'run-id': z.string().regex(/^\d+$/).nullish(),
  'error-message': z.string().nullish(),
});

const longestMs = 60_000;

/**
 * Hands an app's folder to Flower by `flwr run` and answers the run's id. `flwr` exits with 0 on failures too, so only
 * its JSON counts.
 *
 * @throws OneFlowerError `run-refused` with Flower's words.
 */
export async function submitRun(
  setting: FlowerSetting,
  guest: string,
  app: string,
  runConfig: readonly string[],
): Promise<string> {
  const overrides = runConfig.flatMap(pair => ['--run-config', pair]);
  const said = await execute(setting, guest, ['run', app, connection, ...overrides, '--format', 'json']);
  const answer = Answer.safeParse(lastJson(said.out));
  const runId = answer.success && answer.data.success ? answer.data['run-id'] : undefined;
  if (runId) return runId;
  const words = (answer.success ? answer.data['error-message'] : undefined) ?? (said.error || said.out);
  if (/SuperLink is unavailable/i.test(words)) {
    throw new OneFlowerError({
      code: 'run-refused',
      message: 'Flower did not answer when the run was handed over.',
      reason: 'Its process was ended in that moment and is being started again, or has too little CPU.',
      remedy: 'Look at oneflower run list in half a minute, and submit the run again when it is not there.',
    });
  }
  throw new OneFlowerError({
    code: 'run-refused',
    message: `Flower did not take the run: ${words.trim().slice(-1000) || 'no word'}`,
    reason: 'The app, or a value of its run configuration, is not what Flower accepts.',
    remedy: 'Correct what Flower names and submit the run again.',
  });
}

async function execute(
  { bin, owner, layout, ...setting }: FlowerSetting,
  guest: string,
  args: string[],
): Promise<{ out: string; error: string }> {
  const env = { ...flowerEnvironment({ bin, owner, layout, ...setting }), [guestMark]: guest, NO_COLOR: '1' };
  return new Promise((resolve, reject) => {
    const child = spawn(join(bin, 'flwr'), args, {
      cwd: layout.flowerState,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: longestMs,
      killSignal: 'SIGKILL',
      ...(owner ?? {}),
    });
    const said = { out: '', error: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said.out = (said.out + text).slice(-100_000);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said.error = (said.error + text).slice(-100_000);
    });
    child.once('error', reject);
    child.once('close', () => resolve(said));
  });
}

/** `flwr` prints one JSON document, possibly after other words. */
function lastJson(text: string): unknown {
  const start = text.indexOf('{');
  try {
    return start === -1 ? undefined : JSON.parse(text.slice(start));
  } catch {
    return undefined;
  }
}
