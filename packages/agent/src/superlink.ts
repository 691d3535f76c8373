import { join } from 'node:path';
import {
  formatHostPort,
  type HostPort,
  type OneFlowerError,
  parseCertificateNames,
  profileOf,
  roleNames,
  sleep,
} from '@oneflower/contract';
import { certificateName, listenAddress, ownAddress, publishedAddress } from './addresses.ts';
import { type BootOutcome, type BootSurroundings, runSteps } from './boot/engine.ts';
import { type SuperLinkActions, superLinkSteps } from './boot/superlink-steps.ts';
import { ensureCertificates } from './certificates/index.ts';
import type { CertificateMaterial, Certificates } from './certificates/types.ts';
import { type ControlApi, createControlApi } from './flower-control/index.ts';
import { createGate } from './gate/index.ts';
import type { Gate } from './gate/types.ts';
import type { Guest } from './guest.ts';
import { ensureJoinToken } from './join-token.ts';
import { createOperatorApi } from './operator/index.ts';
import type { OperatorApi } from './operator/types.ts';
import { assertPortFree } from './ports.ts';
import { base64, ready } from './publication/attributes.ts';
import { probeFleet } from './publication/probe.ts';
import type { Attributes } from './publication/publisher.ts';
import { runReadyScript } from './publication/ready-script.ts';
import { Replaceable } from './replaceable.ts';
import type { RoleMachine } from './role.ts';
import { RunService } from './runs/service.ts';
import { writeConnection } from './runs/submit.ts';
import { createSite, type NodeRole, type Site } from './site/index.ts';
import { operatorSource } from './superlink-source.ts';
import { type WatchedSuperLink, watchSuperLink } from './superlink-watch.ts';
import { type FlowerSetting, superLinkPorts, superLinkProcesses } from './supervision/flower.ts';
import { startFailed } from './supervision/supervisor.ts';

const flowerProcess = 'flower-superlink';
/** Starting takes Flower about two seconds: its VM is not to wait noticeably longer. */
const healthPauseMs = 25;
/** Flower that ends so often within one boot step does not start. */
const toleratedRestarts = 3;

/** The SuperLink's part of the agent: what its boot steps bring about. */
export class SuperLink implements RoleMachine, SuperLinkActions, WatchedSuperLink {
  readonly role = 'superlink';
  readonly guest: Guest;
  readonly #gate = new Replaceable<Gate>();
  readonly #control = new Replaceable<ControlApi>();
  readonly #operator = new Replaceable<OperatorApi>();
  #certificates: Certificates | undefined;
  #joinToken = '';
  #site: { key: string; value: Site } | undefined;
  #runs: RunService | undefined;

  constructor(guest: Guest) {
    this.guest = guest;
  }

  get certificates(): Certificates | undefined {
    return this.#certificates;
  }

  get site(): Site {
    if (!this.#site) throw new Error('The site has not been opened yet');
    return this.#site.value;
  }

  get runs(): RunService {
    if (!this.#runs) throw new Error('The runs have not been opened yet');
    return this.#runs;
  }

  /** Flower's Control API; there once Flower was started. */
  get control(): ControlApi {
    if (!this.#control.value) throw new Error('Flower has not been started yet');
    return this.#control.value;
  }

  /** Where the gate listens. */
  get gateAddress(): HostPort {
    return listenAddress(this.guest.settings.FL_FLEET_API_ADDRESS, this.guest.options.address);
  }

  /** Where the operator API listens. */
  get operatorAddress(): HostPort {
    return listenAddress(this.guest.settings.FL_CONTROL_API_ADDRESS, this.guest.options.address);
  }

  /** How Flower and its tools are run. */
  get flower(): FlowerSetting {
    const { layout, settings, release, addresses, owner } = this.guest;
    return { layout, settings, version: release.version, bin: release.bin, loopback: addresses.loopback, owner };
  }

  /** Step: certificates, or none with FL_TLS_ENABLED=NO. */
  async prepareCertificates(): Promise<void> {
    const { settings, layout, clock, owner, log } = this.guest;
    if (!settings.FL_TLS_ENABLED) {
      this.#certificates = undefined;
      return;
    }
    const { FL_SSL_CA_CERTFILE: ca, FL_SSL_CERTFILE: certificate, FL_SSL_KEYFILE: key } = settings;
    const given = ca === '' ? undefined : { ca, certificate, key };
    const certificates = await ensureCertificates({
      certsDirectory: layout.certs,
      caDirectory: layout.ca,
      names: this.#certificateNames(),
      given,
      clock,
      owner,
    });
    this.#certificates = certificates;
    for (const warning of certificates.warnings) this.guest.warnOnce(warning);
    if (certificates.changed) log.info(`The certificates were set up; SHA-256 of the CA: ${certificates.fingerprint}.`);
  }

  /** Step: Flower on loopback, answering. */
  async startFlower(signal: AbortSignal): Promise<void> {
    const { layout, supervisor, owner, clock } = this.guest;
    const { http } = superLinkPorts(this.flower.version, this.flower.loopback);
    await writeConnection(layout, http, this.#flowerCertificates?.caFile, owner);
    if (!supervisor.state(flowerProcess)) await assertPortFree(http, 'flower-superlink');
    await supervisor.ensure(superLinkProcesses(this.flower, this.#flowerCertificates), signal);
    const caPem = this.#flowerCertificates?.caPem;
    await this.#control.ensure({ http, caPem }, async () => createControlApi({ ...http, caPem }));
    const before = supervisor.state(flowerProcess)?.restarts ?? 0;
    while (!(await this.control.health())) {
      const state = supervisor.state(flowerProcess);
      if (state && state.restarts - before >= toleratedRestarts) throw startFailed(flowerProcess, state);
      await sleep(clock, healthPauseMs, signal);
    }
  }

  /** Step: enrolment and runs, as they were left. */
  async openSite(): Promise<void> {
    const { layout, clock, events, log, release, settings } = this.guest;
    this.#joinToken = settings.FL_JOIN_TOKEN || (await ensureJoinToken(join(layout.state, 'join-token')));
    const tls = this.#certificates !== undefined;
    const fewestNodes = settings.FL_MIN_AVAILABLE_CLIENTS;
    const facts = { joinToken: this.#joinToken, flowerVersion: release.version, tls, fewestNodes };
    const key = JSON.stringify({ ...facts, control: this.#flowerCertificates?.caPem });
    if (this.#site?.key !== key) {
      await this.#site?.value.close();
      const value = await createSite({
        ...facts,
        stateFile: join(layout.state, 'site.json'),
        control: this.control,
        clock,
        nodeRole: () => this.#nodeRole(),
        emit: events.emit,
        warn: message => log.warning(message),
      });
      this.#site = { key, value };
    }
    this.#runs ??= await RunService.open({
      guest: this.guest,
      control: () => this.control,
      flower: () => this.flower,
      onlineNodes: () => this.#site?.value.onlineCount() ?? 0,
    });
  }

  /** Step: the gate. */
  async openGate(): Promise<void> {
    const { fleet } = superLinkPorts(this.flower.version, this.flower.loopback);
    const tls = this.#certificates;
    const caPem = this.#flowerCertificates?.caPem;
    const options = { listen: this.gateAddress, upstream: { ...fleet, caPem }, tls };
    const gate = await this.#gate.ensure(this.#keyOf({ ...options, version: this.flower.version }), async () => {
      const made = createGate({
        ...options,
        fleet: profileOf(this.flower.version)?.fleet,
        site: (request, response) => this.site.handle(request, response),
        onBadClient: (address, reason) => this.guest.log.warning(`A client at ${address} is turned away: ${reason}`),
      });
      await made.listen();
      return made;
    });
    if (tls) gate.reloadTls(tls, caPem);
  }

  /** Step: the operator API. */
  async openOperatorApi(): Promise<void> {
    const { http } = superLinkPorts(this.flower.version, this.flower.loopback);
    const tls = this.#certificates;
    const caPem = this.#flowerCertificates?.caPem;
    const flowerControl = { ...http, caPem };
    const tokenHash = this.guest.settings.FL_OPERATOR_TOKEN_HASH;
    const options = { listen: this.operatorAddress, tls, tokenHash, flowerControl };
    const api = await this.#operator.ensure(this.#keyOf(options), async () => {
      const made = createOperatorApi({ ...options, source: operatorSource(this) });
      await made.listen();
      return made;
    });
    if (tls) api.reloadTls(tls, caPem);
  }

  /** Step, and the watchdog's question: does the Fleet API answer through the gate? */
  async probe(): Promise<void> {
    const gate = ownAddress(this.gateAddress, this.guest.addresses.loopback);
    const fleet = profileOf(this.flower.version)?.fleet ?? 'http';
    const { caPem, flower } = this.#certificates ?? {};
    await probeFleet({ gate, caPem, anyName: flower !== undefined, fleet });
  }

  /** Step: the operator's own probe. */
  async runReadyScript(signal: AbortSignal): Promise<void> {
    const path = this.guest.settings.READY_SCRIPT_PATH;
    if (path !== '') await runReadyScript(this.guest.layout.root, path, signal);
  }

  /** Step: tells the world. */
  async publishReady(): Promise<void> {
    await this.guest.publish({ ...this.#facts(), ...ready(this.guest.settings.REPORT_READY) });
  }

  boot(surroundings: BootSurroundings, signal: AbortSignal): Promise<BootOutcome> {
    return runSteps(superLinkSteps, this, surroundings, signal);
  }

  watch(signal: AbortSignal): Promise<void> {
    return watchSuperLink(this, signal);
  }

  /** Why Flower does not answer, when that is because it does not live. */
  flowerTrouble(): OneFlowerError | undefined {
    const state = this.guest.supervisor.state(flowerProcess);
    return state && !state.running ? startFailed(flowerProcess, state) : undefined;
  }

  async stop(): Promise<void> {
    await this.#operator.close();
    await this.#gate.close();
    await this.#runs?.close();
    await this.guest.supervisor.stop();
    await this.#control.close();
  }

  /** What Flower shows on loopback: the operator's certificate need not name that. */
  get #flowerCertificates(): CertificateMaterial | undefined {
    return this.#certificates?.flower ?? this.#certificates;
  }

  #facts(): Attributes {
    const { addresses, release } = this.guest;
    const tls = this.#certificates;
    return {
      FL_ROLE: 'superlink',
      FL_VERSION: release.version,
      FL_ENDPOINT: formatHostPort(publishedAddress(this.gateAddress, addresses.published)),
      FL_CONTROL_ENDPOINT: formatHostPort(publishedAddress(this.operatorAddress, addresses.published)),
      FL_TLS: tls ? 'YES' : 'NO',
      FL_CA_CERT: tls ? base64(tls.caPem) : '',
      FL_JOIN_TOKEN: this.#joinToken,
    };
  }

  #certificateNames(): { type: 'ip' | 'dns'; value: string }[] {
    const { addresses, settings } = this.guest;
    const hosts = [
      addresses.published,
      addresses.loopback,
      publishedAddress(this.gateAddress, addresses.published).host,
    ];
    const names = [...new Set(hosts)].map(certificateName);
    return [...names, ...parseCertificateNames(settings.FL_CERT_EXTRA_SAN).names];
  }

  /** A certificate that is renewed is swapped, not a reason to listen anew. */
  #keyOf<T extends { tls: unknown }>(options: T): unknown {
    return JSON.parse(
      JSON.stringify(options, (name, value) => (name === 'tls' || name === 'caPem' ? value !== undefined : value)),
    );
  }

  /** The service's SuperNodes; undefined while that cannot be known. */
  async #nodeRole(): Promise<NodeRole | undefined> {
    const service = await this.guest.oneGate?.service().catch(() => undefined);
    const role = service?.roles.find(({ name }) => name === roleNames.supernode);
    return role && { cardinality: role.cardinality, vmIds: new Set(role.nodes.map(({ id }) => id)) };
  }
}
