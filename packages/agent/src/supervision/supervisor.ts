import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { type Clock, messageOf, type OneFlowerError, type Timer } from '@oneflower/contract';
import { failure } from '../failure.ts';
import type { EventSink } from '../journal/event-hub.ts';
import type { Log } from '../log/log.ts';
import { eachLine } from './lines.ts';
import { endProcesses, guestMark, orphansOf, signalProcess } from './processes.ts';

/** A process that is to run. Two specifications that are equal as JSON are the same process. */
export interface ProcessSpec {
  name: string;
  file: string;
  args: string[];
  cwd: string;
  /** The whole environment; nothing of the agent's own is passed on. */
  env: Record<string, string>;
  /** Flower's user, where the agent is root. */
  owner?: { uid: number; gid: number } | undefined;
  /**
   * Waited for before each start. The signal is aborted when the process is not wanted any more; whatever else this
   * rejects with is logged, and the process started.
   */
  mayStart?: ((signal: AbortSignal) => Promise<void>) | undefined;
}

export interface ProcessState {
  running: boolean;
  /** Whether `mayStart` holds it back. */
  held: boolean;
  /** Starts after the first. */
  restarts: number;
  /** When the process that runs now was started. */
  startedAt: number;
  /** The signal by which it ended last, unless it ended by itself. */
  killedBy: string | undefined;
  /** Whether it ran when it was asked to end, and has done so by itself within the grace period, with exit code 0. */
  endedInOrder: boolean;
  lastLines: string[];
}

export interface Supervisor {
  /**
   * Makes exactly these processes run; all are started anew when anything differs. True when they were. Does not wait
   * for `mayStart`.
   *
   * @throws the signal's reason when it is aborted: nothing is started then.
   */
  ensure(specs: readonly ProcessSpec[], signal?: AbortSignal): Promise<boolean>;
  /** Ends all, and all that they started. */
  stop(): Promise<void>;
  state(name: string): ProcessState | undefined;
}

export interface SupervisorOptions {
  clock: Clock;
  log: Log;
  emit: EventSink;
  /** Names the guest whose processes these are: its root. */
  guest: string;
  /** Time to end in an orderly way before SIGKILL. Flower needs up to 30 s with a run at work. */
  graceMs: number;
}

const firstPauseMs = 1000;
const longestPauseMs = 30_000;
const longLifeMs = 60_000;
/** Flower needs a few seconds to start, and apps one exchange to see that it is another. */
const orphanMs = 30_000;
const keptLines = 40;
const shownLines = 6;

interface Supervised {
  spec: ProcessSpec;
  child: ChildProcess | undefined;
  state: ProcessState;
  pauseMs: number;
  timer: Timer | undefined;
  /** Aborted when it is not wanted any more. */
  unwanted: AbortController;
}

/** Runs processes and starts them again whenever they end, whatever the exit code: Flower's says little. */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const all = new Map<string, Supervised>();
  let turn: Promise<unknown> = Promise.resolve();

  /** One after the other: a boot that was given up may still be at it when the next one, or the end, comes. */
  function inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = turn.then(run, run);
    turn = result.catch(() => undefined);
    return result;
  }

  function start(entry: Supervised): void {
    const { mayStart } = entry.spec;
    if (mayStart) void startWhen(mayStart, entry);
    else startNow(entry);
  }

  async function startWhen(mayStart: NonNullable<ProcessSpec['mayStart']>, entry: Supervised): Promise<void> {
    const { spec, state } = entry;
    const { signal } = entry.unwanted;
    state.held = true;
    try {
      await mayStart(signal);
    } catch (error) {
      if (!signal.aborted) options.log.warning(`${spec.name} is started all the same: ${messageOf(error)}`);
    }
    state.held = false;
    if (!signal.aborted) startNow(entry);
  }

  function startNow(entry: Supervised): void {
    const { state } = entry;
    Object.assign(state, { running: true, startedAt: options.clock.now() });
    if (state.restarts > 0) void endOrphansLater();
    try {
      watch(entry, launch(entry.spec));
    } catch (error) {
      // No memory for another process, for one: the agent has to outlive that.
      remember(state, messageOf(error));
      ended(entry, undefined, null, null);
    }
  }

  function launch(spec: ProcessSpec): ChildProcess {
    return spawn(spec.file, spec.args, {
      cwd: spec.cwd,
      env: { ...spec.env, [guestMark]: options.guest },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(spec.owner ?? {}),
    });
  }

  function watch(entry: Supervised, child: ChildProcess): void {
    const { spec, state } = entry;
    entry.child = child;
    capture(entry, child.stdout);
    capture(entry, child.stderr);
    if (child.pid !== undefined)
      options.emit('process_started', { name: spec.name, pid: child.pid, restarts: state.restarts });
    child.once('error', error => {
      remember(state, error.message);
      if (child.pid === undefined) ended(entry, child, null, null);
    });
    child.once('exit', (code, signal) => ended(entry, child, code, signal));
  }

  function ended(entry: Supervised, child: ChildProcess | undefined, code: number | null, signal: string | null): void {
    if (entry.child !== child) return;
    const { spec, state } = entry;
    entry.child = undefined;
    state.running = false;
    if (entry.unwanted.signal.aborted) {
      state.endedInOrder = code === 0;
      return;
    }
    state.killedBy = signal ?? undefined;
    const lived = options.clock.now() - state.startedAt;
    entry.pauseMs = lived >= longLifeMs ? firstPauseMs : Math.min(longestPauseMs, entry.pauseMs * 2 || firstPauseMs);
    options.emit('process_ended', {
      name: spec.name,
      exit_code: code,
      signal,
      restart_in_seconds: entry.pauseMs / 1000,
    });
    entry.timer = options.clock.after(entry.pauseMs, () => {
      state.restarts++;
      start(entry);
    });
  }

  function capture(entry: Supervised, stream: Readable | null): void {
    if (!stream) return;
    eachLine(stream, line => {
      remember(entry.state, line);
      options.log.write(levelOf(line), line, { logger: 'flwr', source: entry.spec.name });
    });
  }

  /** Apps outlive the Flower that started them. They get the time to tell its successor, which shuts them out. */
  async function endOrphansLater(): Promise<void> {
    const orphans = await orphansOf(options.guest);
    if (orphans.length === 0) return;
    options.clock.after(orphanMs, () => {
      for (const orphan of orphans) void signalProcess(orphan, 'SIGKILL');
    });
  }

  async function end(entries: Supervised[]): Promise<void> {
    for (const entry of entries) {
      entry.unwanted.abort(new Error(`${entry.spec.name} is to end`));
      entry.timer?.cancel();
      all.delete(entry.spec.name);
    }
    const children = entries.flatMap(entry => entry.child ?? []);
    for (const child of children) child.kill('SIGTERM');
    await Promise.all(children.map(child => exitWithin(child, options.clock, options.graceMs)));
  }

  /** All of them, and what each may have left. */
  async function endAll(): Promise<void> {
    await end([...all.values()]);
    await endProcesses(options.guest, options.clock, options.graceMs);
  }

  async function ensure(specs: readonly ProcessSpec[], signal: AbortSignal | undefined): Promise<boolean> {
    const present = [...all.values()].map(({ spec }) => spec);
    if (isSame(present, specs)) return false;
    signal?.throwIfAborted();
    // They depend on one another.
    await endAll();
    signal?.throwIfAborted();
    for (const spec of specs) {
      const entry = supervised(spec);
      all.set(spec.name, entry);
      start(entry);
    }
    return true;
  }

  return {
    ensure: (specs, signal) => inTurn(() => ensure(specs, signal)),
    stop: () => inTurn(endAll),
    state: name => all.get(name)?.state,
  };
}

function supervised(spec: ProcessSpec): Supervised {
  const state = {
    ...{ running: false, held: false, restarts: 0, startedAt: 0, killedBy: undefined, endedInOrder: false },
    lastLines: [],
  };
  return { spec, child: undefined, state, pauseMs: 0, timer: undefined, unwanted: new AbortController() };
}

/** The error of a process that does not stay: by whom it was ended, or what it said last. */
export function startFailed(name: string, state: ProcessState): OneFlowerError {
  if (state.killedBy !== undefined) {
    return failure('flower_start_failed', `${name} was ended by ${state.killedBy}.`, {
      reason: 'Something in the VM has killed it, often the kernel for want of memory.',
      remedy: 'It is started again by itself; give the VM more memory if this happens again.',
    });
  }
  const said = tellingLines(state.lastLines).join('\n');
  return failure(
    'flower_start_failed',
    said === '' ? `${name} has ended.` : `${name} has ended; it said last:\n${said}`,
  );
}

/** Where Flower has said ERROR, what it said from there on: what comes after is the way down. */
function tellingLines(lines: readonly string[]): string[] {
  const error = lines.findLastIndex(line => levelOf(line) === 'ERROR');
  return error === -1 ? lines.slice(-shownLines) : lines.slice(error, error + shownLines);
}

function isSame(a: readonly ProcessSpec[], b: readonly ProcessSpec[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function remember(state: ProcessState, line: string): void {
  if (line.trim() === '') return;
  state.lastLines.push(line);
  if (state.lastLines.length > keptLines) state.lastLines.shift();
}

/** Flower writes the level as the first word. A line for each of our own thousand questions is of use to nobody. */
function levelOf(line: string): 'DEBUG' | 'INFO' | 'WARNING' | 'ERROR' {
  if (/\[uvicorn\.access\]|ControlServicer\.List/.test(line)) return 'DEBUG';
  const word = /^\s*(DEBUG|INFO|WARNING|ERROR)\b/.exec(line)?.[1];
  return word === 'DEBUG' || word === 'WARNING' || word === 'ERROR' ? word : 'INFO';
}

async function exitWithin(child: ChildProcess, clock: Clock, graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise<void>(resolve => {
    const timer = clock.after(graceMs, () => child.kill('SIGKILL'));
    child.once('exit', () => {
      timer.cancel();
      resolve();
    });
  });
}
