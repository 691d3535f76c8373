import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FakeClock, systemClock } from '@oneflower/contract';
import { afterEach, beforeEach, vi } from 'vitest';
import type { DriverVm } from '../../interfaces.ts';
import { createProcessDriver, type ProcessDriver } from './driver.ts';
import { VmFolder } from './folder.ts';
import type { GuestEvent } from './guest.ts';
import { membersOf } from './members.ts';
import { linuxProcesses, type ProcessInfo } from './proc.ts';

/**
 * A small agent for tests. It writes what it was given to `root/seen.json`, notes signals in `root/signals` and each start
 * in `root/starts`, and behaves as `root/behave` says: `die` at once, be `stubborn` when asked to end, start a `child`, or
 * a `loner` with a session of its own.
 */
export const testAgent = `
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
const root = process.argv[process.argv.indexOf('--root') + 1];
const behave = existsSync(root + '/behave') ? readFileSync(root + '/behave', 'utf8') : '';
appendFileSync(root + '/starts', process.pid + '\\n');
if (behave.includes('die')) process.exit(3);
let child;
if (behave.includes('child')) child = spawn('/bin/sleep', ['600'], { stdio: 'ignore' });
let loner;
if (behave.includes('loner')) loner = spawn('/bin/sleep', ['601'], { stdio: 'ignore', detached: true });
process.on('SIGHUP', () => appendFileSync(root + '/signals', 'HUP\\n'));
process.on('SIGTERM', () => {
  appendFileSync(root + '/signals', 'TERM\\n');
  if (!behave.includes('stubborn')) process.exit(0);
});
const seen = { args: process.argv.slice(2), env: process.env, child: child?.pid, loner: loner?.pid };
writeFileSync(root + '/seen.json', JSON.stringify(seen));
console.log('agent is up');
setInterval(() => undefined, 1000);
`;

/** The VM of these tests. */
export const vm: DriverVm = {
  id: 7,
  name: 'superlink_0',
  address: '127.31.1.1',
  contextFiles: { 'context.sh': "VMID='7'\n", 'token.txt': 'abc==' },
};

/** What the test agent wrote of itself. */
export interface Seen {
  args: string[];
  env: Record<string, string>;
  child?: number;
  loner?: number;
}

interface DriverOptions {
  clock?: FakeClock;
  events?: GuestEvent[];
  /** The agent's interpreter; this very Node unless told otherwise. */
  file?: string;
  /** The cloud's own environment. */
  environment?: Record<string, string>;
}

let directory = '';
let drivers: ProcessDriver[] = [];

/** Gives each test of a file a directory of its own, and ends whatever its VM left. */
export function useDriverDirectory(): void {
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'process-driver-'));
    writeFileSync(join(directory, 'agent.mjs'), testAgent);
    drivers = [];
  });
  afterEach(async () => {
    for (const driver of drivers) driver.detach();
    // With the machine's time: those of the tests may stand still.
    await open().destroy(7);
    rmSync(directory, { recursive: true, force: true });
  });
}

/** A driver over the test's directory. */
export function open(options: DriverOptions = {}): ProcessDriver {
  const driver = createProcessDriver({
    directory,
    clock: options.clock ?? systemClock,
    agentCommand: { file: options.file ?? process.execPath, args: [join(directory, 'agent.mjs')] },
    environment: options.environment,
    onEvent: event => options.events?.push(event),
  });
  drivers.push(driver);
  return driver;
}

export const inDirectory = (name: string): string => join(directory, name);
export const folder = (): VmFolder => new VmFolder(join(directory, 'vms', '7'));
export const inRoot = (name: string): string => join(folder().root, name);

/** Tells the agent how to behave. */
export function behave(text: string): void {
  folder().prepare(vm);
  writeFileSync(inRoot('behave'), text);
}

export function until<T>(look: () => T): Promise<Exclude<T, false | undefined>> {
  return vi.waitUntil(look, { timeout: 10_000, interval: 20 }) as Promise<Exclude<T, false | undefined>>;
}

/** Waits for the agent to be up. */
export function seenBy(): Promise<Seen> {
  return until(() => {
    const text = readOrNothing(inRoot('seen.json'));
    return text?.endsWith('}') ? (JSON.parse(text) as Seen) : undefined;
  });
}

/** The pids of the agent's lives. */
export function starts(): number[] {
  return (readOrNothing(inRoot('starts'))?.trim().split('\n') ?? []).map(Number);
}

export const alive = (pid: number | undefined): boolean => pid !== undefined && linuxProcesses.read(pid) !== undefined;
export const remaining = (): ProcessInfo[] => membersOf(linuxProcesses, folder().record(), folder().root);

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
