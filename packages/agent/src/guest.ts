import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock, Framework, OneFlowerError, Settings } from '@oneflower/contract';
import { createOnegateClient, type OnegateClient } from '@oneflower/opennebula/onegate';
import { type GuestAddresses, guestAddresses } from './addresses.ts';
import { prepareCheckpoints } from './checkpoints-folder.ts';
import {
  type ContextFiles,
  checkContext,
  type GuestContext,
  type OneGateAccess,
  oneGateAccess,
  roleOf,
} from './context/context.ts';
import { readContext } from './context/read.ts';
import { checkReachable } from './data-folder.ts';
import { ensureFolder, type FileOwner, writeFileAtomic } from './files.ts';
import type { EventHub } from './journal/event-hub.ts';
import { checkpointsOf, type Layout } from './layout.ts';
import type { Log } from './log/log.ts';
import type { AgentOptions } from './options.ts';
import { notReady } from './publication/attributes.ts';
import { type Attributes, createPublisher, type Publisher } from './publication/publisher.ts';
import type { FlowerRelease } from './releases/release.ts';
import { resolveRelease } from './releases/resolve.ts';
import type { Supervisor } from './supervision/supervisor.ts';

export interface GuestParts {
  options: AgentOptions;
  layout: Layout;
  clock: Clock;
  log: Log;
  events: EventHub;
  supervisor: Supervisor;
  /** Flower's user, where the agent is root. */
  owner: FileOwner | undefined;
  /** Takes in what the apps have told until now. */
  readJournal(): Promise<void>;
}

/** The VM that the agent runs in, whatever its role: its context, its folders, its Flower and its voice to OneGate. */
export class Guest {
  readonly options: AgentOptions;
  readonly layout: Layout;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventHub;
  readonly supervisor: Supervisor;
  readonly owner: FileOwner | undefined;
  readonly readJournal: () => Promise<void>;
  /** Why the last boot failed, until one succeeds or there is another context: it holds while a boot tries again. */
  lastFailure: OneFlowerError | undefined;
  #files: ContextFiles | undefined;
  #context: GuestContext | undefined;
  #access: OneGateAccess | undefined;
  #oneGate: OnegateClient | undefined;
  #publisher: Publisher;
  #release: FlowerRelease | undefined;
  #saidWarnings = new Set<string>();

  constructor(parts: GuestParts) {
    this.options = parts.options;
    this.layout = parts.layout;
    this.readJournal = parts.readJournal;
    this.clock = parts.clock;
    this.log = parts.log;
    this.events = parts.events;
    this.supervisor = parts.supervisor;
    this.owner = parts.owner;
    this.#publisher = createPublisher(undefined, parts.clock, parts.log);
  }

  get context(): GuestContext {
    if (!this.#context) throw new Error('The context has not been read yet');
    return this.#context;
  }

  get settings(): Settings {
    return this.context.settings;
  }

  get addresses(): GuestAddresses {
    return guestAddresses(this.options.address, this.context.nicAddress);
  }

  get release(): FlowerRelease {
    if (!this.#release) throw new Error('The Flower release has not been chosen yet');
    return this.#release;
  }

  /** OneGate as this VM, or undefined without TOKEN=YES. */
  get oneGate(): OnegateClient | undefined {
    return this.#oneGate;
  }

  /** Step: what an earlier life of the VM has published holds no longer. */
  async withdraw(): Promise<void> {
    const files = await readContext(this.options.context).catch(() => undefined);
    if (files) this.#useOneGate(oneGateAccess(files.values, files.token));
    await this.#publisher.publish(notReady(files && roleOf(files.values), this.lastFailure));
  }

  /** Step: reads the CONTEXT CD. */
  async readContext(): Promise<void> {
    this.#files = await readContext(this.options.context);
  }

  /** Step: checks all variables and takes them on. */
  async validate(): Promise<void> {
    if (!this.#files) throw new Error('The context has not been read yet');
    const context = checkContext(this.#files);
    this.#context = context;
    const { FL_LOG_LEVEL, FL_LOG_FORMAT } = context.settings;
    this.log.configure({
      role: context.role,
      level: FL_LOG_LEVEL as 'DEBUG',
      format: FL_LOG_FORMAT === 'json' ? 'json' : 'text',
    });
    for (const warning of context.warnings) this.warnOnce(warning);
    if (!context.oneGate) this.warnOnce('OneGate is not available: nothing is published and nothing discovered there.');
  }

  /** Step: makes the folders, with their owners and modes, and lets in the operator's SSH keys. */
  async prepareFolders(): Promise<void> {
    const { layout, owner } = this;
    for (const [path, mode, ours] of foldersOf(layout)) await ensureFolder(path, mode, ours ? undefined : owner);
    // The operator's own data keeps the owner and the modes that it has.
    if (!existsSync(layout.data)) await ensureFolder(layout.data, 0o755, owner);
    await this.#prepareCheckpoints();
    await checkReachable(layout.flowerState, owner);
    await this.#authorizeKeys();
  }

  /** Step: chooses the Flower release that runs, with its framework, and installs it where it is not the baked one. */
  async chooseRelease(signal: AbortSignal): Promise<void> {
    const { FLOWER_VERSION: version, ML_FRAMEWORK: framework } = this.settings;
    this.#release = await resolveRelease({ version, framework: framework as Framework }, this, signal);
  }

  /** Publishes attributes; see {@link Publisher}. */
  publish(attributes: Attributes): Promise<boolean> {
    return this.#publisher.publish(attributes);
  }

  /** Says a warning unless it was said before in this life of the agent. */
  warnOnce(warning: string): void {
    if (this.#saidWarnings.has(warning)) return;
    this.#saidWarnings.add(warning);
    this.log.warning(warning);
  }

  stop(): void {
    this.#publisher.stop();
  }

  #useOneGate(access: OneGateAccess | undefined): void {
    if (JSON.stringify(access) === JSON.stringify(this.#access)) return;
    this.#access = access;
    this.#publisher.stop();
    const retry = { attempts: 1, firstDelayMs: 0, maxDelayMs: 0 };
    this.#oneGate = access && createOnegateClient({ ...access, clock: this.clock, timeoutMs: 5000, retry });
    this.#publisher = createPublisher(this.#oneGate, this.clock, this.log);
  }

  async #prepareCheckpoints(): Promise<void> {
    const folder = this.context.role === 'superlink' ? checkpointsOf(this.layout, this.settings) : undefined;
    if (folder === undefined) return;
    const { software, ...paths } = this.layout;
    await prepareCheckpoints(folder, this.owner, [...Object.values(paths), ...Object.values(software)]);
    await checkReachable(folder, this.owner);
  }

  async #authorizeKeys(): Promise<void> {
    const keys = this.settings.SSH_PUBLIC_KEY.split('\n').map(key => key.trim());
    const file = this.layout.authorizedKeys;
    const present = await readFile(file, 'utf8').catch(() => '');
    const known = new Set(present.split('\n').map(key => key.trim()));
    const missing = keys.filter(key => key !== '' && !known.has(key));
    if (missing.length === 0) return;
    await ensureFolder(dirname(file), 0o700, undefined);
    const lines = [...present.split('\n').filter(line => line !== ''), ...missing];
    await writeFileAtomic(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  }
}

/** Folder, mode, and whether it stays the agent's own. */
function foldersOf(layout: Layout): [string, number, boolean][] {
  return [
    [layout.flower, 0o755, true],
    [layout.flowerState, 0o750, false],
    [join(layout.flowerState, 'tmp'), 0o700, false],
    [layout.flowerHome, 0o700, false],
    [layout.ca, 0o700, true],
    // Passable, so that Flower's user reaches apps/; what is in it is closed by the modes of the files.
    [layout.state, 0o711, true],
    [layout.models, 0o700, true],
    [layout.runs, 0o711, true],
    [layout.apps, 0o700, false],
    [layout.appModels, 0o700, false],
  ];
}
