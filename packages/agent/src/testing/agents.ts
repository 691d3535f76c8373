import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@oneflower/contract';
import { endProcesses } from '../supervision/processes.ts';

/** Folder with the real Flower, as `npm test` sets it up. */
export function realSoftware(): string {
  const folder = process.env.ONEFLOWER_SOFTWARE;
  if (folder) return folder;
  throw new Error('ONEFLOWER_SOFTWARE does not name a folder with Flower: npm test sets it up.');
}

/** A loopback network of this test's own: address 1 is 127.x.y.1. */
export function loopbackNetwork(): (host: number) => string {
  const network = `127.${randomInt(64, 250)}.${randomInt(0, 256)}`;
  return host => `${network}.${host}`;
}

/** An agent that runs as a program, in a root of its own. */
export class TestAgent {
  readonly root: string;
  readonly #context: string;
  readonly #address: string;
  #child: ChildProcess | undefined;
  log = '';

  constructor(folder: string, address: string) {
    this.root = join(folder, 'root');
    this.#context = join(folder, 'context');
    this.#address = address;
  }

  async writeContext(values: Record<string, string>, token?: string): Promise<void> {
    await mkdir(this.#context, { recursive: true });
    await mkdir(this.root, { recursive: true });
    // Flower's user has to get to its folders.
    for (const folder of [join(this.root, '..'), this.root]) await chmod(folder, 0o755);
    const lines = Object.entries(values).map(([name, value]) => `${name}='${value.replaceAll("'", "'\\''")}'\n`);
    await writeFile(join(this.#context, 'context.sh'), lines.join(''));
    if (token) await writeFile(join(this.#context, 'token.txt'), token);
  }

  start(): void {
    const program = join(import.meta.dirname, '../main.ts');
    const args = ['--root', this.root, '--context', this.#context, '--address', this.#address];
    const user = process.env.ONEFLOWER_FLOWER_USER ?? 'nobody';
    const child = spawn(process.execPath, [program, ...args, '--software', realSoftware(), '--flower-user', user], {
      env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.log += text;
      });
    }
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** Asks the agent to end; its exit code. */
  async stop(): Promise<number | null> {
    const child = this.#child;
    if (!child) return null;
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    }
    return child.exitCode;
  }

  /** Ends the agent without asking, as a power cut would; what it has started lives on. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }

  /** Ends all that is left of this agent. */
  async clear(): Promise<void> {
    await this.kill();
    await endProcesses(this.root, systemClock, 0);
  }
}
