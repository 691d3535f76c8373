import { readdir, readFile } from 'node:fs/promises';

/** A process that belongs to a test. */
export interface TestProcess {
  pid: number;
  parent: number;
  /** Command line, word by word. */
  args: string[];
}

/** All processes with a folder in their command line or environment, wherever in the process tree they are by now. */
export async function processesOf(folder: string): Promise<TestProcess[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(pids.filter(pid => pid !== process.pid).map(pid => describe(pid, folder)));
  return found.filter(process => process !== undefined);
}

/** The process of a folder that runs a program by that file name. */
export async function findProcess(folder: string, program: string): Promise<TestProcess | undefined> {
  const all = await processesOf(folder);
  return all.find(({ args }) => args.slice(0, 2).some(word => word.endsWith(`/${program}`)));
}

/** Kills all processes of a folder. @returns those that there were. */
export async function killAll(folder: string): Promise<TestProcess[]> {
  const found = await processesOf(folder);
  for (let left = found; left.length > 0; left = await processesOf(folder)) {
    for (const { pid } of left) kill(pid);
    await new Promise(resolve => setTimeout(resolve, 20));
  }
  return found;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

async function describe(pid: number, folder: string): Promise<TestProcess | undefined> {
  const [stat, args, environment] = await Promise.all(
    ['stat', 'cmdline', 'environ'].map(name => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')),
  );
  // The name in parentheses may hold blanks: fields count from the last one. A zombie has neither words nor environment.
  const parent = Number(stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  const belongs = args?.includes(folder) || environment?.includes(folder);
  return belongs ? { pid, parent, args: args?.split('\0') ?? [] } : undefined;
}
