import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type EnrolRefusal,
  type EnrolResponse,
  formatHostPort,
  type HostPort,
  isOneFlowerError,
  type OneFlowerError,
  type Partition,
  parseHostPort,
  parseNodeConfig,
  type StateResponse,
  sleep,
} from '@oneflower/contract';
import { type BootOutcome, type BootSurroundings, runSteps } from './boot/engine.ts';
import { type SuperNodeActions, superNodeSteps } from './boot/supernode-steps.ts';
import { checkReadable } from './data-folder.ts';
import { chooseJoinToken } from './discovery/decide.ts';
import { discover, type Found } from './discovery/discover.ts';
import { failure } from './failure.ts';
import { ensureFolder } from './files.ts';
import type { Guest } from './guest.ts';
import { ensureNodeKey, type NodeKey } from './node-key.ts';
import { assertPortFree } from './ports.ts';
import { ready } from './publication/attributes.ts';
import { runReadyScript } from './publication/ready-script.ts';
import { Replaceable } from './replaceable.ts';
import type { RoleMachine } from './role.ts';
import { createSiteClient, nodeRemoved, type SiteClient } from './site/index.ts';
import { createStuckCheck } from './stuck-flower.ts';
import { FlowerSession } from './supernode-session.ts';
import { SuperLinkTrust } from './supernode-trust.ts';
import { type WatchedNode, watchNode } from './supernode-watch.ts';
import { type FlowerSetting, nodeConfigWith, superNodePort, superNodeProcesses } from './supervision/flower.ts';
import { startFailed } from './supervision/supervisor.ts';

const flowerProcess = 'flower-supernode';
const joinTokenRefused = 'join-token-refused' satisfies EnrolRefusal;
const toleratedRestarts = 3;
const onlinePauseMs = 500;
/** Of an error's text, what the SuperLink takes. */
const longestError = 2000;

/** The SuperNode's part of the agent: what its boot steps bring about. */
export class SuperNode implements RoleMachine, SuperNodeActions, WatchedNode {
  readonly role = 'supernode';
  readonly guest: Guest;
  readonly #site = new Replaceable<SiteClient>();
  #found: Found | undefined;
  #key: NodeKey | undefined;
  #enrolment: EnrolResponse | undefined;
  /** The SuperLink that was found is gone: its successor may be elsewhere, and OneGate is asked first. */
  #lost = false;
  #isWatched = false;
  readonly #trust: SuperLinkTrust;
  readonly #session: FlowerSession;
  readonly #stuck: ReturnType<typeof createStuckCheck>;
  readonly #ended = new AbortController();

  constructor(guest: Guest) {
    this.guest = guest;
    this.#trust = new SuperLinkTrust(guest);
    this.#session = new FlowerSession({
      ...{ clock: guest.clock, log: guest.log, supervisor: guest.supervisor, process: flowerProcess },
      file: join(guest.layout.state, 'session'),
      // The same phase as those who wait for the node tell meanwhile.
      ask: held => this.#tell(this.#isWatched ? 'failed' : 'starting', held?.message ?? null),
    });
    const startedAt = () => guest.supervisor.state(flowerProcess)?.startedAt;
    this.#stuck = createStuckCheck(guest.clock, { startedAt, startAnew: () => this.#restartFlower() });
  }

  async boot(surroundings: BootSurroundings, signal: AbortSignal): Promise<BootOutcome> {
    const outcome = await runSteps(superNodeSteps, this, surroundings, signal);
    if (!outcome.ready && (outcome.step === 'trust' || this.mayBeOutdated(outcome.error))) {
      // Turn and turn about: what OneGate says may be wrong too, by a VM that tampers with it.
      this.#lost = this.#found?.from !== 'onegate';
    }
    return outcome;
  }

  mayBeOutdated({ code, details }: OneFlowerError): boolean {
    if (this.isStatic || !this.guest.oneGate) return false;
    const isTokenPublished = this.guest.settings.FL_JOIN_TOKEN === '';
    return code === 'superlink_unreachable' || (isTokenPublished && details.refusal === joinTokenRefused);
  }

  /** Step: where the SuperLink is. */
  async discover(): Promise<void> {
    const { settings, oneGate } = this.guest;
    const references = await this.#trust.references();
    const input = { address: settings.FL_SUPERLINK_ADDRESS, references, lost: this.#lost };
    this.#found = await discover(input, oneGate);
    this.guest.log.info(`The SuperLink is at ${this.#found.advertised.endpoint}.`);
  }

  /** Step: how it is trusted. */
  decideTrust(): Promise<void> {
    return this.#trust.decide(this.#advertised);
  }

  /** Step: who this node is. */
  async prepareKey(): Promise<void> {
    const { layout, owner } = this.guest;
    await ensureFolder(layout.certs, 0o700, owner);
    this.#key = await ensureNodeKey(layout.nodeKey, owner);
  }

  /** Step: the SuperLink knows this node. */
  async enrol(): Promise<void> {
    const { settings, context, release } = this.guest;
    const joinToken = chooseJoinToken(settings.FL_JOIN_TOKEN, this.#advertised);
    const options = { endpoint: this.gateAddress, caPem: this.#trust.ca?.caPem, joinToken };
    const site = await this.#site.ensure(options, async () => createSiteClient(options));
    const given = parseNodeConfig(settings.FL_NODE_CONFIG)?.['partition-id'];
    const request = {
      name: context.vmName,
      flowerVersion: release.version,
      vmId: context.vmId,
      partitionId: typeof given === 'number' ? given : null,
    };
    try {
      this.#enrolment = await site.enrol({ ...request, publicKey: this.#publicKey });
    } catch (error) {
      if (!isOneFlowerError(error) || error.details.refusal !== nodeRemoved) throw error;
      await this.#renewKey();
      this.#enrolment = await site.enrol({ ...request, publicKey: this.#publicKey });
    }
    await this.#trust.keep(this.#current);
  }

  /** Step: the data can be read. */
  async checkData(signal: AbortSignal): Promise<void> {
    await checkReadable(this.guest.layout.data, this.guest.owner, signal);
  }

  /** Step: Flower runs as this node. */
  async startFlower(signal: AbortSignal): Promise<void> {
    const { supervisor, settings } = this.guest;
    const trust = this.#trust.ca;
    const keys = Object.keys(parseNodeConfig(settings.FL_NODE_CONFIG) ?? {});
    const specs = superNodeProcesses(this.#flower, {
      gate: this.gateAddress,
      trust: trust && { ...trust, keyFile: this.guest.layout.nodeKey },
      nodeConfig: nodeConfigWith(settings.FL_NODE_CONFIG, keys, this.enrolment.partition),
    });
    if (!supervisor.state(flowerProcess)) await assertPortFree(superNodePort(this.#flower.loopback), flowerProcess);
    const formerIsOver = await this.#session.begin();
    // Without TLS Flower makes a key at each start: no session is in its way.
    const mayStart = trust && formerIsOver;
    await supervisor.ensure(
      specs.map(spec => (spec.name === flowerProcess ? { ...spec, mayStart } : spec)),
      signal,
    );
  }

  /** Step: the SuperLink sees this node. */
  async waitOnline(signal: AbortSignal): Promise<void> {
    const before = this.restarts;
    for (;;) {
      const { isOwn, held } = this.#session;
      const { online } = await this.askState(this.#phase, held?.message ?? null);
      if (online && isOwn) break;
      const state = this.guest.supervisor.state(flowerProcess);
      if (state && !state.running && !state.held && this.restarts - before >= toleratedRestarts) {
        throw failure('node_not_online', startFailed(flowerProcess, state).message);
      }
      await sleep(this.guest.clock, onlinePauseMs, signal);
    }
    this.#lost = false;
  }

  /** Step: the operator's own probe. */
  async runReadyScript(signal: AbortSignal): Promise<void> {
    const path = this.guest.settings.READY_SCRIPT_PATH;
    if (path !== '') await runReadyScript(this.guest.layout.root, path, signal);
  }

  /** Step: tells the world. */
  async publishReady(): Promise<void> {
    const { nodeId, partition } = this.enrolment;
    await this.guest.publish({
      FL_ROLE: 'supernode',
      FL_VERSION: this.guest.release.version,
      FL_NODE_ID: nodeId ?? '',
      FL_PARTITION_ID: String(partition.id),
      FL_NODE_READY: 'YES',
      ...ready(this.guest.settings.REPORT_READY),
    });
  }

  async watch(signal: AbortSignal): Promise<void> {
    this.#isWatched = true;
    try {
      this.#lost = await watchNode(this, signal);
    } finally {
      this.#isWatched = false;
    }
  }

  async stop(): Promise<void> {
    this.#ended.abort(new Error('the node was stopped'));
    await this.#session.end();
    await this.#site.close();
  }

  get gateAddress(): HostPort {
    const address = parseHostPort(this.#advertised.endpoint);
    if (!address) throw new Error(`${this.#advertised.endpoint} is no HOST:PORT`);
    return address;
  }

  get isStatic(): boolean {
    return this.#found?.from === 'address';
  }

  get partition(): Partition {
    return this.enrolment.partition;
  }

  get restarts(): number {
    return this.guest.supervisor.state(flowerProcess)?.restarts ?? 0;
  }

  get enrolment(): EnrolResponse {
    if (!this.#enrolment) throw new Error('The node has not been enrolled yet');
    return this.#enrolment;
  }

  flowerTrouble(): OneFlowerError | undefined {
    return this.#session.trouble;
  }

  /** Tells the SuperLink how this node is, and hears whether it is online. */
  async askState(phase: 'starting' | 'running' | 'failed', error: string | null): Promise<StateResponse> {
    return this.#stuck(this.#tell(phase, error));
  }

  async #tell(phase: 'starting' | 'running' | 'failed', error: string | null): Promise<StateResponse> {
    const site = this.#site.value;
    if (!site) throw failure('superlink_unreachable', `There is no connection to ${formatHostPort(this.gateAddress)}.`);
    const said = error?.slice(0, longestError) ?? null;
    return site.state(this.enrolment.nodeToken, { phase, restarts: this.restarts, error: said });
  }

  async #restartFlower(): Promise<void> {
    this.guest.log.warning('Flower runs but does not come back to the SuperLink: it is started anew.');
    await this.#session.end();
    await this.startFlower(this.#ended.signal);
  }

  get #publicKey(): string {
    if (!this.#key) throw new Error('The node has no key yet');
    return this.#key.publicKey;
  }

  /** Flower never accepts a key again that was taken off it. */
  async #renewKey(): Promise<void> {
    this.guest.log.warning(
      'The SuperLink has taken this node off for good: it makes another key and joins as a new node.',
    );
    await this.guest.supervisor.stop();
    await rm(this.guest.layout.nodeKey, { force: true });
    await this.prepareKey();
  }

  get #current(): Found {
    if (!this.#found) throw new Error('The SuperLink has not been found yet');
    return this.#found;
  }

  get #advertised(): Found['advertised'] {
    return this.#current.advertised;
  }

  get #flower(): FlowerSetting {
    const { layout, settings, release, addresses, owner } = this.guest;
    return { layout, settings, version: release.version, bin: release.bin, loopback: addresses.loopback, owner };
  }

  get #phase(): 'starting' | 'running' {
    return this.guest.supervisor.state(flowerProcess)?.running ? 'running' : 'starting';
  }
}
