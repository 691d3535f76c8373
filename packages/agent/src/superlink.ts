import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatHostPort, type HostPort, parseCertificateNames, profileOf, sleep } from '@oneflower/contract';
import { certificateName, listenAddress, ownAddress, publishedAddress } from './addresses.ts';
import { type BootOutcome, type BootSurroundings, runSteps } from './boot/engine.ts';
import { superLinkSteps } from './boot/superlink-steps.ts';
import { type Certificates, ensureCertificates } from './certificates/index.ts';
import { writeFileAtomic } from './files.ts';
import { type ControlApi, createControlApi } from './flower-control/index.ts';
import { createGate } from './gate/index.ts';
import type { Gate } from './gate/types.ts';
import type { Guest } from './guest.ts';
import { assertPortFree } from './ports.ts';
import { base64, ready } from './publication/attributes.ts';
import { probeFleet } from './publication/probe.ts';
import type { Attributes } from './publication/publisher.ts';
import { runReadyScript } from './publication/ready-script.ts';
import { Replaceable } from './replaceable.ts';
import type { RoleMachine } from './role.ts';
import { writeConnection } from './runs/submit.ts';
import { type FlowerSetting, superLinkPorts, superLinkProcesses } from './supervision/flower.ts';
import { startFailed } from './supervision/supervisor.ts';

const flowerProcess = 'flower-superlink';
/** Flower that ends so often within one boot step does not start. */
const toleratedRestarts = 3;

/** The SuperLink's part of the agent: what its boot steps bring about. */
export class SuperLink implements RoleMachine {
  readonly role = 'superlink';
  readonly guest: Guest;
  readonly #gate = new Replaceable<Gate>();
  readonly #control = new Replaceable<ControlApi>();
  #certificates: Certificates | undefined;
  #joinToken = '';

  constructor(guest: Guest) {
    this.guest = guest;
  }

  get certificates(): Certificates | undefined {
    return this.#certificates;
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
    await writeConnection(layout, http, this.#certificates?.caFile, owner);
    if (!supervisor.state(flowerProcess)) await assertPortFree(http, 'flower-superlink');
    await supervisor.ensure(superLinkProcesses(this.flower, this.#certificates));
    const caPem = this.#certificates?.caPem;
    await this.#control.ensure({ http, caPem }, async () => createControlApi({ ...http, caPem }));
    const before = supervisor.state(flowerProcess)?.restarts ?? 0;
    while (!(await this.control.health())) {
      const state = supervisor.state(flowerProcess);
      if (state && state.restarts - before >= toleratedRestarts) throw startFailed(flowerProcess, state);
      await sleep(clock, 100, signal);
    }
  }

  /** Step: the gate, with enrolment behind it. */
  async openGate(): Promise<void> {
    this.#joinToken = await this.#ensureJoinToken();
    const { fleet } = superLinkPorts(this.flower.version, this.flower.loopback);
    const upstream = { ...fleet, caPem: this.#certificates?.caPem };
    const key = { listen: this.gateAddress, upstream, tls: this.#certificates !== undefined };
    const kind = profileOf(this.flower.version)?.fleet;
    const tls = this.#certificates;
    const fresh = !this.#gate.isMadeOf(key);
    const gate = await this.#gate.ensure(key, async () => {
      const made = createGate({
        listen: this.gateAddress,
        tls,
        upstream,
        fleet: kind,
        site: (_, response) => response.end(),
      });
      await made.listen();
      return made;
    });
    if (!fresh && tls) gate.reloadTls(tls, tls.caPem);
  }

  /** Step, and the watchdog's question: does the Fleet API answer through the gate? */
  async probe(): Promise<void> {
    const gate = ownAddress(this.gateAddress, this.guest.addresses.loopback);
    const fleet = profileOf(this.flower.version)?.fleet ?? 'http';
    await probeFleet({ gate, caPem: this.#certificates?.caPem, fleet });
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

  async watch(signal: AbortSignal): Promise<void> {
    for (;;) await sleep(this.guest.clock, 2000, signal);
  }

  async stop(): Promise<void> {
    await this.#gate.close();
    await this.guest.supervisor.stop();
    await this.#control.close();
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

  /** The operator's join token, or one that is made once and kept. */
  async #ensureJoinToken(): Promise<string> {
    if (this.guest.settings.FL_JOIN_TOKEN !== '') return this.guest.settings.FL_JOIN_TOKEN;
    const file = join(this.guest.layout.state, 'join-token');
    const kept = await readFile(file, 'utf8').catch(() => '');
    if (/^[A-Za-z0-9_-]{16,}$/.test(kept)) return kept;
    const made = randomBytes(24).toString('base64url');
    await writeFileAtomic(file, made, { mode: 0o600 });
    return made;
  }
}
