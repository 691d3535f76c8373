import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { type ModelFormat, messageOf, OneFlowerError } from '@oneflower/contract';
import type { FileOwner } from '../files.ts';
import { type FlowerSetting, flowerEnvironment } from '../supervision/flower.ts';
import { guestMark } from '../supervision/processes.ts';
import { chownAll } from './submit.ts';

const longestMs = 300_000;
/** The largest file that a program may write, in KiB: it would fill the VM's disk. */
const largestKib = 64 * 1024 * 1024;
/** How our program says that the environment lacks the framework. */
const frameworkMissing = 3;

const endings: Readonly<Record<ModelFormat, string>> = {
  npz: '.npz',
  pt: '.pt',
  joblib: '.joblib',
  keras: '.keras',
  peft: '.tar.gz',
};

/** What is to be made of `model.npz` and `manifest.json` in a working folder. */
export interface ExportJob {
  work: string;
  /** The use case whose code lies in `app` of the working folder; absent for an app of an operator's own. */
  app: string | undefined;
  format: ModelFormat;
}

/**
 * Has a model written in another format by its app's own code, in the Python environment that the app runs in and as
 * the user that it runs as. The working folder is handed over to that user.
 *
 * @throws OneFlowerError `framework-missing`, `model-format-unknown`, `model-export-failed`
 */
export async function runExport(
  setting: FlowerSetting,
  guest: string,
  { work, app, format }: ExportJob,
): Promise<{ file: FileHandle; ending: string }> {
  if (app === undefined && format !== 'npz') throw formatUnknown(format);
  const { owner } = setting;
  if (owner) await chownAll(work, owner);
  const output = join(work, format === 'peft' ? 'adapter' : `made${endings[format]}`);
  const folder = app === undefined ? [] : ['--app-folder', join(work, 'app')];
  const files = ['--model', join(work, 'model.npz'), '--manifest', join(work, 'manifest.json')];
  const args = ['-m', 'oneflower.export', ...folder, ...files, '--format', format, '--output', output];
  const env = { ...flowerEnvironment(setting), [guestMark]: guest };
  const { code, error } = await execute(join(setting.bin, 'python'), args, env, work, owner);
  if (code === frameworkMissing) throw missing(format, error, setting.settings.ML_FRAMEWORK);
  if (code !== 0) throw failed(format, error);
  const made = format === 'peft' ? await pack(output, env, work, owner) : output;
  return { file: await openMade(made, format), ending: endings[format] };
}

async function pack(
  folder: string,
  env: NodeJS.ProcessEnv,
  work: string,
  owner: FileOwner | undefined,
): Promise<string> {
  const draft = join(work, 'draft.tar.gz');
  const plain = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner'];
  const { code, error } = await execute('/usr/bin/tar', [...plain, '-czf', draft, '-C', folder, '.'], env, work, owner);
  if (code !== 0) throw failed('peft', error);
  const packed = join(work, 'made.tar.gz');
  await rename(draft, packed);
  return packed;
}

/** The user that has made it may have made a link. */
async function openMade(path: string, format: ModelFormat): Promise<FileHandle> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await file.stat()).isFile()) return file;
    await file.close();
    throw new Error('it is no plain file');
  } catch (error) {
    throw failed(format, messageOf(error));
  }
}

/**
 * Limits can only be set from within a process: by the shell, to which nothing is told but a number. Where memory is
 * short, this one ends and not the SuperLink: arrays may be packed small, and a framework is large.
 */
function execute(
  file: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  cwd: string,
  owner: FileOwner | undefined,
): Promise<{ code: number | null; error: string }> {
  const first = '{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null';
  const limited = ['-c', `${first}; ulimit -f ${largestKib * 2}; exec "$@"`, 'limited', file, ...args];
  return new Promise((resolve, reject) => {
    const child = spawn('/bin/sh', limited, {
      cwd,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: longestMs,
      killSignal: 'SIGKILL',
      detached: true,
      ...(owner ?? {}),
    });
    // What it leaves running would hold its output open, and all further exports up.
    child.once('exit', () => endGroup(child.pid));
    let error = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      error = (error + text).slice(-10_000);
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      const killed = signal === 'SIGKILL' ? `it was ended after ${longestMs / 1000} s, or for want of memory` : '';
      resolve({ code, error: killed || error.trim() });
    });
  });
}

/** Ends the processes of a group. */
function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL');
  } catch {
    // There are none any more.
  }
}

function lastLine(text: string): string {
  return text.split('\n').at(-1)?.slice(0, 500) || 'it says nothing';
}

function missing(format: ModelFormat, said: string, framework: string): OneFlowerError {
  return new OneFlowerError({
    code: 'framework-missing',
    message: `The SuperLink's environment cannot write ${format}: ${lastLine(said)}`,
    reason: `ML_FRAMEWORK of this service is ${framework}, which decides what is installed.`,
    remedy: 'Deploy with the ML_FRAMEWORK that the format belongs to, or download it as npz.',
    fault: 'user',
  });
}

function formatUnknown(format: ModelFormat): OneFlowerError {
  return new OneFlowerError({
    code: 'model-format-unknown',
    message: `The model of this app cannot be had as ${format}.`,
    reason: 'Only apps that come with OneFlower bring the code for other formats.',
    remedy: 'Download it as npz: the arrays by their names.',
    fault: 'user',
  });
}

function failed(format: ModelFormat, said: string): OneFlowerError {
  return new OneFlowerError({
    code: 'model-export-failed',
    message: `The model could not be written as ${format}: ${lastLine(said)}`,
    remedy: 'Download it as npz: the arrays by their names.',
    fault: 'user',
  });
}
