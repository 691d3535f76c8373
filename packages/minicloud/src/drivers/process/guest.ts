import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { type Clock, messageOf, OneFlowerError, sleep, type Timer } from '@oneflower/contract';
import type { VmFolder } from './folder.ts';
import { type AgentRecord, findRecorded, membersOf } from './members.ts';
import type { ProcessTable } from './proc.ts';

/** The program that runs in every VM. */
export interface AgentCommand {
  file: string;
  args: readonly string[];
  /** Environment beside PATH, HOME and LANG. */
  env?: Readonly<Record<string, string>> | undefined;
}

/** Something that happened to a VM's agent without being asked for. */
export interface GuestEvent {
  vmId: number;
  kind: 'agent-ended' | 'agent-not-started';
  /** Exit code or signal, or why it did not start. */
  reason: string;
  /** Milliseconds until it is started again. */
  restartIn: number;
}

export interface GuestOptions {
  vmId: number;
  folder: VmFolder;
  clock: Clock;
  processes: ProcessTable;
  agentCommand: AgentCommand;
  onEvent?: ((event: GuestEvent) => void) | undefined;
}

const FIRST_DELAY = 1_000;
const LONGEST_DELAY = 10_000;
/** An agent that lived this long has not died at once. */
const SETTLED_AFTER = 10_000;
const STOP_DEADLINE = 45_000;
const KILL_DEADLINE = 10_000;
const LOOK_EVERY = 500;
const LOG_CHECK_EVERY = 30_000;
const GUEST_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** One VM: supervises its agent as systemd's `Restart=always` does. */
export class Guest {
  readonly #options: GuestOptions;
  #on = false;
  #record: AgentRecord | undefined;
  /** Settles when the agent that runs now has ended. */
  #ended: Promise<string> = Promise.resolve('never started');
  #startedAt = 0;
  #delay = FIRST_DELAY;
  #restart: Timer | undefined;
  #logTimer: Timer | undefined;
  #detached = new AbortController();
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: GuestOptions) {
    this.#options = options;
  }

  /** Whether the VM is switched on. Its agent may be between two lives. */
  get on(): boolean {
    return this.#on;
  }

  /** Switches the VM on. Rejects when the agent's program cannot be run. */
  start(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#on || this.#adoptNow()) return;
      this.#on = true;
      this.#delay = FIRST_DELAY;
      try {
        await this.#launch();
      } catch (error) {
        this.#on = false;
        throw error;
      }
      this.#watchLog();
    });
  }

  /** Takes over the agent that an earlier cloud started; false when the VM is switched off. */
  adopt(): boolean {
    return this.#on || this.#adoptNow();
  }

  /** Ends the agent: asked first and given 45 s, unless `hard`; after that nothing of the VM runs any more. */
  stop(hard: boolean): Promise<void> {
    this.#restart?.cancel();
    return this.#inTurn(async () => {
      this.#on = false;
      this.#restart?.cancel();
      this.#logTimer?.cancel();
      if (!hard) await this.#askToEnd();
      await this.#killRest();
      this.#options.folder.removeRecord();
      this.#record = undefined;
    });
  }

  /** Tells the agent that its context has changed. */
  reload(): void {
    const { processes } = this.#options;
    const record = this.#record;
    if (this.#on && record && findRecorded(processes, record)) processes.kill(record.pid, 'SIGHUP');
  }

  /** Leaves the VM to itself: its agent goes on, nothing here looks after it any more. */
  detach(): void {
    this.#restart?.cancel();
    this.#logTimer?.cancel();
    this.#detached.abort(new Error('detached'));
  }

  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(action);
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  #adoptNow(): boolean {
    const { folder, processes, clock } = this.#options;
    const record = folder.record();
    // After a restart of the machine nothing of the VM is left: it is switched off like any other.
    if (record?.bootId !== processes.bootId()) return false;
    this.#on = true;
    this.#record = record;
    this.#startedAt = clock.now();
    if (findRecorded(processes, record)) this.#follow(record, this.#watchForeign(record));
    else this.#scheduleRestart('ended while nobody looked after it', 0);
    this.#watchLog();
    return true;
  }

  async #launch(): Promise<void> {
    const { folder, processes, clock } = this.#options;
    await this.#killRest();
    folder.rotateLog();
    const child = await this.#spawn();
    const pid = child.pid ?? 0;
    const startTime = processes.read(pid)?.startTime ?? 0;
    const record = { pid, startTime, bootId: processes.bootId() };
    const ended = new Promise<string>(resolve => {
      if (child.exitCode !== null || child.signalCode !== null) resolve(describeEnd(child));
      child.once('exit', () => resolve(describeEnd(child)));
    });
    this.#startedAt = clock.now();
    this.#record = record;
    this.#follow(record, ended);
    try {
      folder.writeRecord(record);
    } catch (error) {
      // Without the record a later cloud could not find this process: better none.
      this.#record = undefined;
      await this.#killRest();
      throw error;
    }
  }

  async #spawn(): Promise<ChildProcess> {
    const { folder, agentCommand, vmId } = this.#options;
    const address = folder.note()?.address;
    const own = ['--root', folder.root, '--context', folder.context, ...(address ? ['--address', address] : [])];
    const log = openSync(folder.log, 'a', 0o600);
    try {
      const child = spawn(agentCommand.file, [...agentCommand.args, ...own], {
        cwd: folder.root,
        detached: true,
        env: { ...agentCommand.env, PATH: GUEST_PATH, HOME: folder.root, LANG: 'C.UTF-8' },
        stdio: ['ignore', log, log],
      });
      await spawned(child);
      child.unref();
      return child;
    } catch (error) {
      throw new OneFlowerError({
        code: 'agent-not-started',
        message: `The agent of VM ${vmId} could not be started.`,
        reason: `${agentCommand.file} cannot be run: ${messageOf(error)}.`,
        remedy: 'Check that the program is there and may be executed, then deploy the VM again.',
        cause: error,
      });
    } finally {
      closeSync(log);
    }
  }

  #follow(record: AgentRecord, ended: Promise<string>): void {
    this.#ended = ended;
    ended.then(
      reason => {
        if (this.#on && this.#record === record) this.#scheduleRestart(reason, this.#nextDelay());
      },
      () => undefined,
    );
  }

  /** An adopted agent is no child of ours, so its end is seen by looking. */
  async #watchForeign(record: AgentRecord): Promise<string> {
    while (findRecorded(this.#options.processes, record)) {
      await sleep(this.#options.clock, LOOK_EVERY, this.#detached.signal);
    }
    return 'ended';
  }

  #nextDelay(): number {
    const settled = this.#options.clock.now() - this.#startedAt >= SETTLED_AFTER;
    const delay = settled ? FIRST_DELAY : this.#delay;
    this.#delay = Math.min(LONGEST_DELAY, delay * 2);
    return delay;
  }

  #scheduleRestart(reason: string, delay: number, kind: GuestEvent['kind'] = 'agent-ended'): void {
    if (this.#detached.signal.aborted) return;
    this.#options.onEvent?.({ vmId: this.#options.vmId, kind, reason, restartIn: delay });
    this.#restart = this.#options.clock.after(delay, () => {
      this.#inTurn(async () => {
        if (this.#on) await this.#launch();
      }).catch(error => this.#scheduleRestart(messageOf(error), this.#nextDelay(), 'agent-not-started'));
    });
  }

  async #askToEnd(): Promise<void> {
    const { processes, clock } = this.#options;
    const record = this.#record;
    if (!record || !findRecorded(processes, record)) return;
    processes.kill(record.pid, 'SIGTERM');
    const deadline = new AbortController();
    const late = sleep(clock, STOP_DEADLINE, deadline.signal).catch(() => undefined);
    await Promise.race([this.#ended, late]);
    deadline.abort(new Error('over'));
  }

  /** Kills what is left of the last agent, as systemd does with the control group. */
  async #killRest(): Promise<void> {
    const { folder, processes, clock, vmId } = this.#options;
    const record = this.#record ?? folder.record();
    for (let waited = 0; ; waited += 20) {
      const rest = membersOf(processes, record, folder.root);
      if (rest.length === 0) return;
      if (waited >= KILL_DEADLINE)
        throw new OneFlowerError(
          stuck(
            vmId,
            rest.map(({ pid }) => pid),
          ),
        );
      for (const { pid } of rest) processes.kill(pid, 'SIGKILL');
      await sleep(clock, 20);
    }
  }

  #watchLog(): void {
    this.#logTimer?.cancel();
    this.#logTimer = this.#options.clock.after(LOG_CHECK_EVERY, () => {
      this.#options.folder.rotateLog();
      this.#watchLog();
    });
  }
}

function spawned(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
}

function describeEnd(child: ChildProcess): string {
  return child.signalCode ? `ended by ${child.signalCode}` : `ended with code ${child.exitCode}`;
}

function stuck(vmId: number, pids: number[]) {
  return {
    code: 'process-not-killed',
    message: `Processes of VM ${vmId} could not be ended: ${pids.join(', ')}.`,
    reason: 'They wait in the kernel, for example for a disk or a network file system.',
    remedy: 'End what they wait for, then try again.',
    details: { vmId, pids },
  };
}
