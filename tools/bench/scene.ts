import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { endProcesses, guestMark, processesOf } from '../../packages/agent/src/supervision/processes.ts';
import { messageOf, sleep, systemClock } from '../../packages/contract/src/index.ts';

const patienceMs = 180_000;
const graceMs = 15_000;
const interrupts = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A process of a bench, with what it has said. */
export interface Started {
  child: ChildProcess;
  /** When it was started, by `performance.now()`. */
  since: number;
  said(): string;
}

/** A folder and loopback addresses of one bench. Whatever was started in it ends with it. */
export class Scene {
  readonly folder: string;
  readonly #network = `127.${randomInt(64, 250)}.${randomInt(0, 256)}`;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Runs a bench in a scene of its own; nothing of it is left, whatever happens. */
  static async play<Result>(bench: (scene: Scene) => Promise<Result>): Promise<Result> {
    const folder = await mkdtemp(join(tmpdir(), 'oneflower-bench-'));
    // Flower's user has to get to its folders.
    await chmod(folder, 0o755);
    await mkdir(join(folder, 'tmp'));
    const scene = new Scene(folder);
    const interrupted = () => void scene.#end().then(() => process.exit(130));
    for (const signal of interrupts) process.once(signal, interrupted);
    try {
      return await bench(scene);
    } finally {
      for (const signal of interrupts) process.off(signal, interrupted);
      await scene.#end();
    }
  }

  /** Address 1 is 127.x.y.1. */
  address(host: number): string {
    return `${this.#network}.${host}`;
  }

  start(file: string, args: string[], environment: NodeJS.ProcessEnv = {}): Started {
    const since = performance.now();
    const child = spawn(file, args, {
      cwd: this.folder,
      env: {
        ...{
          // Flower's programs start one another by name.
          PATH: `${dirname(file)}:${process.env.PATH}`,
          HOME: this.folder,
          TMPDIR: join(this.folder, 'tmp'),
          PYTHONDONTWRITEBYTECODE: '1',
        },
        ...{ FLWR_HOME: join(this.folder, 'flwr'), FLWR_TELEMETRY_ENABLED: '0', FLWR_DISABLE_UPDATE_CHECK: '1' },
        ...environment,
        [guestMark]: this.folder,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
    }
    return { child, since, said: () => text };
  }

  /** Runs a program to its end; what it has said. */
  async run(file: string, args: string[], environment: NodeJS.ProcessEnv = {}): Promise<string> {
    const started = this.start(file, args, environment);
    const [code] = (await once(started.child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`${file} ended with ${code}:\n${started.said()}`);
    return started.said();
  }

  /** Says what is to be done at the scene's end, also when it is interrupted, before its processes and its folder go. */
  atEnd(cleanUp: () => Promise<unknown>): void {
    this.#cleanUps.unshift(cleanUp);
  }

  /** Once, whoever asks first: the interrupt of a bench makes the bench itself fail. */
  #end(): Promise<void> {
    this.#ended ??= this.#clear();
    return this.#ended;
  }

  async #clear(): Promise<void> {
    for (const cleanUp of this.#cleanUps) await cleanUp().catch(error => console.error(messageOf(error)));
    // Whatever still carries this scene's mark, or that of a guest in it.
    for (const guest of [...this.#guests, this.folder]) await endProcesses(guest, systemClock, graceMs);
    await rm(this.folder, { recursive: true, force: true });
  }

  #ended: Promise<void> | undefined;
  readonly #cleanUps: (() => Promise<unknown>)[] = [];
  readonly #guests: string[] = [];

  /** Says that a guest's processes carry its own mark. */
  holds(guest: string): void {
    this.#guests.unshift(guest);
  }
}

/** Ends a process in an orderly way. */
export async function stop({ child }: Started): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

/** Seconds from the start of a process until something holds. */
export async function secondsUntil(started: Started, holds: () => boolean | Promise<boolean>): Promise<number> {
  for (;;) {
    if (await holds()) return (performance.now() - started.since) / 1000;
    if (started.child.exitCode !== null || performance.now() - started.since > patienceMs) {
      throw new Error(`${started.child.spawnfile} does not get there:\n${started.said().slice(-4000)}`);
    }
    await sleep(systemClock, 10);
  }
}

/** Waits until something holds. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 2 * patienceMs;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error('What the bench waits for does not come');
    await sleep(systemClock, 100);
  }
}

/** Memory of a process in MB (1,000,000 bytes): VmRSS is what it holds, VmHWM the most that it ever held. */
export async function memoryOf(pid: number | undefined, field: 'VmRSS' | 'VmHWM' = 'VmRSS'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return (Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024) / 1e6;
}

/** Process of a guest whose command line names a program. */
export async function processNamed(guest: string, program: string): Promise<number | undefined> {
  for (const { pid } of await processesOf(guest)) {
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
    if (command.includes(`/${program}\0`)) return pid;
  }
  return undefined;
}
