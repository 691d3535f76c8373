import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SuperLinkStatus } from '@oneflower/contract';
import type { TestContext } from 'vitest';
import { createOnedClient, type OnedClient, renderTemplate } from '../../packages/opennebula/src/index.ts';
import { createOnedCaller } from '../../packages/opennebula/src/oned/caller.ts';
import { killAll } from './processes.ts';
import { until } from './until.ts';

/** What a command has left. */
export interface Finished {
  code: number;
  stdout: string;
  stderr: string;
}

/** A service as `oneflower status --json` tells it, as far as tests look at it. */
export interface ServiceView {
  id: number;
  state: string;
  vms: VmView[];
  flower: SuperLinkStatus | null;
  flowerUnknown: string | null;
}

export interface VmView {
  id: number;
  role: 'superlink' | 'supernode';
  state: string;
  ip: string;
  ready: boolean;
  error: { code: string; text: string } | null;
  nodeId: string | null;
  partitionId: number | null;
}

const program = join(import.meta.dirname, '..', '..', 'packages', 'cli', 'bin', 'oneflower.mjs');

/** An embedded cloud with a home of its own, used as a person does: by the command line. */
export class EmbeddedCloud {
  readonly home: string;

  constructor() {
    if (!process.env.ONEFLOWER_SOFTWARE) throw new Error('ONEFLOWER_SOFTWARE is not set: npm test sets it up.');
    this.home = mkdtempSync(join(tmpdir(), 'oneflower-cloud-'));
    // Where the tests are root, Flower is not: it has to get to its folders.
    chmodSync(this.home, 0o755);
  }

  /** Runs `oneflower WORDS`. */
  run(...words: string[]): Promise<Finished> {
    return this.begin(...words).ended;
  }

  /** Begins to run `oneflower WORDS`; what it says can be looked at meanwhile. */
  begin(...words: string[]): { said: Omit<Finished, 'code'>; ended: Promise<Finished> } {
    const child = spawn(process.execPath, [program, ...words], {
      cwd: this.home,
      env: { ...process.env, ONEFLOWER_HOME: this.home, HOME: this.home, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        said[name] += text;
      });
    }
    const ended = new Promise<Finished>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', code => resolve({ code: code ?? 1, ...said }));
    });
    return { said, ended };
  }

  /**
   * Runs `oneflower WORDS --json` and reads its document.
   *
   * @throws Error with all that it said unless it exits with 0.
   */
  async document(...words: string[]): Promise<Record<string, unknown>> {
    const { code, stdout, stderr } = await this.run(...words, '--json');
    if (code !== 0) throw new Error(`oneflower ${words.join(' ')} ended with ${code}:\n${stderr}${stdout}`);
    return JSON.parse(stdout);
  }

  async status(name: string): Promise<ServiceView> {
    const { services } = (await this.document('status', name)) as { services: [ServiceView] };
    return services[0];
  }

  /** Where the cloud is reached, and the file with its administrator's `user:password`. */
  get access(): { xmlrpc: string; oneflow: string; authFile: string; session: string } {
    const saved = JSON.parse(readFileSync(join(this.home, 'clouds', 'embedded.json'), 'utf8'));
    return { ...saved, session: readFileSync(saved.authFile, 'utf8').trim() };
  }

  /** oned, as the embedded cloud's own administrator. */
  get oned(): OnedClient {
    const { xmlrpc, session } = this.access;
    return createOnedClient({ endpoint: xmlrpc, session });
  }

  /** Changes variables in the CONTEXT of a VM, past all that OneFlower checks; a running guest sees it at once. */
  async recontext(vm: number, values: Readonly<Record<string, string>>): Promise<void> {
    const { xmlrpc, session } = this.access;
    const call = createOnedCaller({ endpoint: xmlrpc, session, timeoutMs: 60_000 });
    await call('one.vm.updateconf', [vm, renderTemplate({ CONTEXT: { ...values } }), 1], false);
  }

  get vms(): string {
    return join(this.home, 'embedded', 'vms');
  }

  vmFolder(id: number): string {
    return join(this.vms, String(id));
  }

  /** The guest's own file system. */
  root(id: number): string {
    return join(this.vmFolder(id), 'root');
  }

  /** What the agent and Flower of a VM have said so far. */
  log(id: number): string {
    const file = join(this.vmFolder(id), 'agent.log');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Until the agent of a SuperLink has heard of a checkpoint of that round or a later one. */
  checkpointed(superLink: number, round: number): Promise<unknown> {
    const saved = /A run can be resumed from here\. .*round=(\d+)/g;
    return until(
      `a checkpoint of round ${round}`,
      () => [...this.log(superLink).matchAll(saved)].some(([, at]) => Number(at) >= round),
      120_000,
    );
  }

  /** Shows what the guests have said last, when a test has failed. */
  explain({ task }: TestContext): void {
    if (task.result?.state !== 'fail') return;
    for (const id of existsSync(this.vms) ? readdirSync(this.vms) : []) {
      console.error(`VM ${id} said last:\n${this.log(Number(id)).split('\n').slice(-60).join('\n')}`);
    }
  }

  /** Ends all and removes all, also after a test that has failed. */
  async remove(): Promise<void> {
    await this.run('cloud', 'reset');
    await killAll(this.home);
    await rm(this.home, { recursive: true, force: true });
  }
}

/** The partitions that the nodes of a service hold; none unless all of them are ready. */
export function partitionsOf({ vms }: ServiceView): number[] {
  const nodes = vms.filter(({ role }) => role === 'supernode');
  if (nodes.some(({ ready }) => !ready)) return [];
  return nodes.map(({ partitionId }) => partitionId ?? -1).sort((a, b) => a - b);
}

/** A small app as a user writes one: it takes part in no convention of OneFlower's. */
export const ownApp = join(import.meta.dirname, 'own-app');
