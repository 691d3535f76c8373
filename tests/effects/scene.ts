import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EventData, Role } from '@oneflower/contract';
import { operatorTrio, type Trio } from '../support/certificates.ts';
import { flowerRuns, type ReportedRun } from '../support/flower-runs.ts';
import { Guest } from '../support/guest.ts';
import { claimNetwork, type Network } from '../support/network.ts';
import { type OneGate, startOneGate } from '../support/one-gate.ts';
import { killAll } from '../support/processes.ts';
import { testSoftware } from '../support/software.ts';
import { until } from '../support/until.ts';
import { changedNode, changedSuperLink, openNode, openSuperLink, otherRelease } from './values.ts';

/** A guest as a member of the service: its VM id is also the last number of its address. */
export interface Member {
  guest: Guest;
  vmId: number;
  address: string;
}

/** A SuperLink with a SuperNode that is online. */
export interface Site {
  superLink: Member;
  node: Member;
}

/** The site on which no variable is set, with a second node on which only FL_MAX_RETRIES is. */
export interface PlainSite extends Site {
  retryingNode: Member;
}

/** The site without TLS, whose node has found its SuperLink through OneGate. */
export interface OpenSite extends Site {
  /** What the node showed while its ready script had been run and had failed. */
  beforeScript: Record<string, string>;
}

/** The guests that the effect tests share. Each is started when it is first asked for, and lives until the end. */
export class Scene {
  readonly oneGate: OneGate;
  /** The trio that the changed SuperLink is given. */
  readonly trio: Trio;
  readonly #folder: string;
  readonly #network: Network;
  readonly #guests: Guest[] = [];
  readonly #begun = new Map<string, Promise<unknown>>();

  private constructor(folder: string, network: Network, oneGate: OneGate) {
    this.#folder = folder;
    this.#network = network;
    this.oneGate = oneGate;
    this.trio = operatorTrio(network.address(vmIds.changedSuperLink));
  }

  static async open(): Promise<Scene> {
    testSoftware();
    const network = await claimNetwork();
    const oneGate = await startOneGate(network.address(250));
    return new Scene(await mkdtemp(join(tmpdir(), 'oneflower-effects-')), network, oneGate);
  }

  /**
   * Ends all guests in an orderly way.
   *
   * @throws Error that names the processes that this has left, after ending them.
   */
  async close(): Promise<void> {
    await Promise.all(this.#guests.map(guest => guest.stop()));
    const left = await killAll(this.#folder);
    this.oneGate.close();
    this.#network.release();
    await rm(this.#folder, { recursive: true, force: true });
    if (left.length > 0) throw new Error(`Left running: ${left.map(({ args }) => args.join(' ')).join('\n')}`);
  }

  /** No variable is set; the nodes know their SuperLink by what OneFlow fills into the CONTEXT. */
  plain(): Promise<PlainSite> {
    return this.#once('plain', async () => {
      const superLink = await this.#start('plainSuperLink', 'superlink', {});
      await this.#ready(superLink);
      const references = await referencesTo(superLink);
      const node = await this.#start('plainNode', 'supernode', references);
      const retryingNode = await this.#start('retryingNode', 'supernode', { ...references, FL_MAX_RETRIES: '1' });
      await Promise.all([this.#ready(node), this.#ready(retryingNode)]);
      return { superLink, node, retryingNode };
    });
  }

  /** The plain site before and after FL_USE_CASE is set on its SuperLink, and nothing else. */
  plainRun(): Promise<{ before: ReportedRun[]; run: ReportedRun }> {
    return this.#once('plain run', async () => {
      const { superLink } = await this.plain();
      const before = await runsOf(superLink);
      const { context, token } = this.#contextOf(superLink, 'superlink', { FL_USE_CASE: 'anomaly-detection' });
      await superLink.guest.recontext(context, token);
      const run = await until('the plain site has a run', async () => (await runsOf(superLink))[0]);
      return { before, run };
    });
  }

  /** Most variables are set; the run of its variables works on its only node. */
  changed(): Promise<Site> {
    return this.#once('changed', async () => {
      const superLink = await this.#start('changedSuperLink', 'superlink', changedSuperLink(this.trio));
      await this.#ready(superLink);
      const node = await this.#start('changedNode', 'supernode', changedNode(superLink.address, this.trio));
      await this.#ready(node);
      return { superLink, node };
    });
  }

  /** How the run of the changed site has ended. */
  changedRun(): Promise<EventData<'run_ended'>> {
    return this.#once('changed run', async () => {
      const { guest } = (await this.changed()).superLink;
      return until('the run of the changed site has ended', async () => (await guest.events('run_ended'))[0], 150_000);
    });
  }

  /** FL_TLS_ENABLED is NO; the run of its variables waits for more nodes than there are. */
  openSite(): Promise<OpenSite> {
    return this.#once('open', async () => {
      const superLink = await this.#start('openSuperLink', 'superlink', openSuperLink);
      const node = this.#member('openNode', 'supernode');
      const script = '#!/bin/sh\necho tried >> tries\n[ -e go ]\n';
      await writeFile(node.guest.path('ready.sh'), script, { mode: 0o755 });
      await this.#boot(node, 'supernode', openNode);
      await this.#ready(superLink);
      const { guest } = node;
      await until('the ready script has failed, or nobody runs it', async () => {
        return existsSync(guest.path('tries')) || (await guest.events('boot_ready')).length > 0;
      });
      const beforeScript = this.oneGate.attributes(node.vmId);
      await writeFile(guest.path('go'), '');
      await this.#ready(node);
      return { superLink, node, beforeScript };
    });
  }

  /** A SuperLink that is to run a release that nobody can install. */
  otherRelease(): Promise<Member> {
    return this.#once('other release', async () => {
      const superLink = await this.#start('otherRelease', 'superlink', otherRelease);
      await this.#ready(superLink);
      return superLink;
    });
  }

  /** The plain and the changed site after their SuperLinks are gone. */
  away(): Promise<{ plain: PlainSite; changed: Site }> {
    return this.#once('away', async () => {
      const sites = { plain: await this.plain(), changed: await this.changed() };
      await Promise.all([sites.plain.superLink.guest.stop(), sites.changed.superLink.guest.stop()]);
      return sites;
    });
  }

  /** Starts a guest that cannot boot. @returns what failed, and the guest, which has been stopped. */
  async refused(role: Role, values: Record<string, string>): Promise<{ code: string; guest: Guest }> {
    const name = `refused-${this.#guests.length}`;
    const guest = this.#guest(name, this.#network.address(100 + this.#guests.length));
    return this.#failing(guest, { FL_ROLE: role, ...values });
  }

  /** Like {@link refused}, for a guest that has the machine's own addresses. */
  async refusedWithoutAddress(values: Record<string, string>): Promise<{ code: string; guest: Guest }> {
    const guest = this.#guest(`own-address-${this.#guests.length}`, undefined);
    return this.#failing(guest, { FL_ROLE: 'superlink', ...values });
  }

  /** A SuperLink and a SuperNode of another release than the baked one, which both install. */
  older(version: string): Promise<Site> {
    return this.#once('older', async () => {
      const values = { FLOWER_VERSION: version, TOKEN: 'YES' };
      const superLink = await this.#start('olderSuperLink', 'superlink', values);
      const node = await this.#start('olderNode', 'supernode', values);
      await Promise.all([superLink, node].map(member => this.#ready(member, installMs)));
      return { superLink, node };
    });
  }

  async #failing(guest: Guest, values: Record<string, string>): Promise<{ code: string; guest: Guest }> {
    await guest.writeContext(values);
    await guest.start();
    const failed = await guest.booted();
    await guest.stop();
    if (!failed) throw new Error(`The guest with ${JSON.stringify(values)} has booted`);
    return { code: failed.code, guest };
  }

  async #start(name: MemberName, role: Role, values: Record<string, string>): Promise<Member> {
    const member = this.#member(name, role);
    await this.#boot(member, role, values);
    return member;
  }

  #member(name: MemberName, role: Role): Member {
    const vmId = vmIds[name];
    const address = this.#network.address(vmId);
    return { vmId, address, guest: this.#guest(`${role}-${name}`, address) };
  }

  async #boot(member: Member, role: Role, values: Record<string, string>): Promise<void> {
    const { context, token } = this.#contextOf(member, role, values);
    await member.guest.writeContext(context, token);
    await member.guest.start();
  }

  /** The CD of every guest leads to OneGate; TOKEN decides whether it is used. */
  #contextOf({ vmId }: Member, role: Role, values: Record<string, string>) {
    // Each site is a service of its own: ten numbers.
    const service = `service-${Math.floor(vmId / 10)}`;
    const context = { FL_ROLE: role, ...this.oneGate.contextOf(vmId, role, service), ...values };
    return { context, token: this.oneGate.tokenOf(vmId) };
  }

  async #ready({ guest }: Member, timeoutMs?: number): Promise<void> {
    const failed = await guest.booted(timeoutMs);
    if (failed) throw new Error(`${guest.folder} failed at ${failed.step}: ${failed.code}\n${await guest.log()}`);
  }

  #guest(name: string, address: string | undefined): Guest {
    const folder = join(this.#folder, name);
    const guest = new Guest(address === undefined ? { folder } : { folder, address });
    this.#guests.push(guest);
    return guest;
  }

  #once<T>(name: string, begin: () => Promise<T>): Promise<T> {
    const begun = (this.#begun.get(name) as Promise<T> | undefined) ?? begin();
    this.#begun.set(name, begun);
    return begun;
  }
}

/** Time to install a release on both guests of a site. */
const installMs = 400_000;

const vmIds = {
  plainSuperLink: 1,
  plainNode: 2,
  retryingNode: 3,
  changedSuperLink: 11,
  changedNode: 12,
  openSuperLink: 21,
  openNode: 22,
  otherRelease: 31,
  olderSuperLink: 41,
  olderNode: 42,
} as const;

type MemberName = keyof typeof vmIds;

/** What OneFlow fills into the CONTEXT of a SuperNode, here from the SuperLink's own files. */
async function referencesTo({ guest, address }: Member): Promise<Record<string, string>> {
  const read = (path: string) => readFile(guest.path(path), 'utf8');
  return {
    SUPERLINK_ENDPOINT: `${address}:9092`,
    SUPERLINK_TLS: 'YES',
    SUPERLINK_CA_CERT: Buffer.from(await read('opt/flower/certs/ca.crt')).toString('base64'),
    SUPERLINK_JOIN_TOKEN: await read('var/lib/oneflower/join-token'),
  };
}

async function runsOf({ guest, address }: Member): Promise<ReportedRun[]> {
  return flowerRuns(`https://${address}:8000`, guest.path('opt/flower/certs/ca.crt'));
}
