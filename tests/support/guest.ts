import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, openSync } from 'node:fs';
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { EventData, EventName } from '@oneflower/contract';
import { findProcess, killAll, processesOf, type TestProcess } from './processes.ts';
import { testSoftware } from './software.ts';
import { until } from './until.ts';

export interface GuestOptions {
  /** A folder of the guest's own. */
  folder: string;
  /** Its 127.x address, which stands for loopback and wildcard; absent: the machine's own. */
  address?: string;
  /** Another software folder than that of `npm test`. */
  software?: string;
}

/** The agent, as the bundle that images hold, in a root of its own; the folders as the embedded cloud lays them out. */
export class Guest {
  readonly folder: string;
  readonly root: string;
  readonly address: string | undefined;
  readonly #software: string;
  #agent: ChildProcess | undefined;

  constructor({ folder, address, software }: GuestOptions) {
    this.folder = folder;
    this.root = join(folder, 'root');
    this.address = address;
    this.#software = software ?? testSoftware().software;
    mkdirSync(this.root, { recursive: true });
  }

  /** Path of a file inside the guest. */
  path(inside: string): string {
    return join(this.root, inside);
  }

  /** Writes the CONTEXT CD; a token makes `token.txt`. */
  async writeContext(values: Readonly<Record<string, string>>, token?: string): Promise<void> {
    const context = join(this.folder, 'context');
    await mkdir(context, { recursive: true });
    const lines = Object.entries(values).map(([name, value]) => `${name}='${value.replaceAll("'", "'\\''")}'\n`);
    await writeFile(join(context, 'context.sh'), lines.join(''));
    if (token === undefined) await rm(join(context, 'token.txt'), { force: true });
    else await writeFile(join(context, 'token.txt'), token);
  }

  /** Starts the agent. */
  async start(): Promise<void> {
    const { agent, flowerUser } = testSoftware();
    // Flower's user has to get to its own folders.
    for (const folder of [dirname(this.folder), this.folder, this.root]) await chmod(folder, 0o755);
    const places = ['--root', this.root, '--context', join(this.folder, 'context'), '--software', this.#software];
    const address = this.address === undefined ? [] : ['--address', this.address];
    const log = openSync(join(this.folder, 'agent.log'), 'a');
    this.#agent = spawn(process.execPath, [agent, ...places, ...address, '--flower-user', flowerUser], {
      env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: this.root, LANG: 'C.UTF-8', ...forPip() },
      stdio: ['ignore', log, log],
    });
    await once(this.#agent, 'spawn');
  }

  /** Process id of the agent. */
  get pid(): number {
    if (this.#agent?.pid === undefined) throw new Error(`The agent in ${this.folder} was not started`);
    return this.#agent.pid;
  }

  /** Writes another CONTEXT CD and tells the agent, as the cloud does. */
  async recontext(values: Readonly<Record<string, string>>, token?: string): Promise<void> {
    await this.writeContext(values, token);
    process.kill(this.pid, 'SIGHUP');
  }

  /** Asks the agent to end and waits for it. @returns its exit code. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM');
  }

  /** Ends the agent alone, without asking: what it has started lives on. */
  async killAgent(): Promise<void> {
    await this.#end('SIGKILL');
  }

  /** Ends the agent and all that it has started, as a power cut does. @returns what it had left running. */
  async cutPower(): Promise<TestProcess[]> {
    await this.killAgent();
    return killAll(this.folder);
  }

  /** What the agent and Flower have said. */
  async log(): Promise<string> {
    return readFile(join(this.folder, 'agent.log'), 'utf8').catch(() => '');
  }

  /** Data of all events of a name so far, oldest first. */
  async events<N extends EventName>(name: N): Promise<EventData<N>[]> {
    const text = await readFile(this.path('var/lib/oneflower/events.jsonl'), 'utf8').catch(() => '');
    // The last line may be half written.
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    const all = lines.filter(line => line !== '').map(line => JSON.parse(line) as { event: string; data: unknown });
    return all.filter(({ event }) => event === name).map(({ data }) => data as EventData<N>);
  }

  /** Waits for the boot. @returns what failed, or undefined when the guest is ready. */
  async booted(timeoutMs = 120_000): Promise<EventData<'boot_failed'> | undefined> {
    const outcome = await until(
      `${this.folder} has booted`,
      async () => {
        const failed = (await this.events('boot_failed')).at(-1);
        return (await this.events('boot_ready')).length > 0 ? 'ready' : failed;
      },
      timeoutMs,
    ).catch(async (error: Error) => {
      throw new Error(`${error.message}\n${await this.log()}`);
    });
    return outcome === 'ready' ? undefined : outcome;
  }

  /** The guest's process that runs a program. */
  process(program: string): Promise<TestProcess | undefined> {
    return findProcess(this.folder, program);
  }

  /** Everything of the guest that runs, its agent included. */
  processes(): Promise<TestProcess[]> {
    return processesOf(this.folder);
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const agent = this.#agent;
    if (!agent) return null;
    if (agent.exitCode === null && agent.signalCode === null) {
      const exited = once(agent, 'exit');
      agent.kill(signal);
      await exited;
    }
    return agent.exitCode;
  }
}

/** How this machine reaches a package index, for releases that are not baked in. */
function forPip(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => /^(pip_\w+|https?_proxy|no_proxy)$/i.test(name));
  return Object.fromEntries(entries);
}
