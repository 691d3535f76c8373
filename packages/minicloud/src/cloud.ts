import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { type Clock, OneFlowerError } from '@oneflower/contract';
import { type CloudFiles, cloudFiles, prepareDirectory, writeWhole } from './cloud/files.ts';
import {
  type Block,
  type CloudEndpoints,
  type CloudPorts,
  claimBlock,
  endpointsAt,
  type FrontEndLock,
  probePort,
  stockPorts,
} from './cloud/front-end.ts';
import { seedCloud, untilSeedUsable } from './cloud/seed.ts';
import { powerOffVms, resumeVms } from './cloud/vms.ts';
import type { Oned, VmDriver } from './interfaces.ts';
import { createOned, createOnedServer, type EmbeddedOned, type OnedServer } from './oned/index.ts';
import { createOneFlow, type OneFlow } from './oneflow/index.ts';
import { createFlowClient, createOneGate, type OneGate } from './onegate/index.ts';

export interface CloudOptions {
  /** Holds all state; made when it is missing. */
  directory: string;
  /** Runs the VMs. `detach`, where it has one, is called at the end: VMs then go on by themselves. */
  driver: VmDriver & { detach?: () => void };
  clock: Clock;
  /** Stock ports unless told otherwise. */
  ports?: CloudPorts;
  /** Told of errors that no caller hears of. */
  onError?: (error: unknown) => void;
}

/** An embedded cloud that runs in this process. */
export interface Cloud {
  readonly endpoints: CloudEndpoints;
  /** Calls without HTTP, for what lives in the same process. */
  readonly oned: Oned;
  /** `name:password` of the administrator. */
  readonly adminSession: string;
  /**
   * Ends the servers; with `vms` switches the running VMs off first, and the next start brings them back. Returns ids of
   * VMs that did not end in time.
   */
  close(options?: { vms?: boolean }): Promise<number[]>;
}

const ADMIN = 'oneadmin';

/**
 * Opens the embedded cloud of a directory: oned, OneFlow and OneGate on one state, at loopback addresses of their own.
 * What was under way when an earlier process ended, killed or not, goes on.
 *
 * @throws OneFlowerError `directory-not-writable`, `directory-of-another-user`, `cloud-address-taken`, `no-free-block`,
 *   `login-file-missing`, `seed-refused`
 */
export async function openCloud(options: CloudOptions): Promise<Cloud> {
  const { ports = stockPorts } = options;
  const files = cloudFiles(options.directory);
  prepareDirectory(files.directory);
  const parts = new Parts(options, files, ports);
  try {
    const block = await claimBlock(files, parts.lock());
    return await parts.start(block);
  } catch (error) {
    await parts.stop();
    throw error;
  }
}

/** The running parts, in the order in which they start; each may be missing yet. */
class Parts {
  readonly #options: CloudOptions;
  readonly #files: CloudFiles;
  readonly #ports: CloudPorts;
  readonly #gate: OneGate;
  #oned: EmbeddedOned | undefined;
  #flow: OneFlow | undefined;
  #server: OnedServer | undefined;

  constructor(options: CloudOptions, files: CloudFiles, ports: CloudPorts) {
    this.#options = options;
    this.#files = files;
    this.#ports = ports;
    this.#gate = createOneGate({
      oned: this.#lateOned(),
      flow: createFlowClient(request => this.#flow?.handle(request)),
      ...(options.onError && { onError: options.onError }),
    });
  }

  /** OneGate's listener holds the front end: while it is bound, nobody else has this cloud. */
  lock(): FrontEndLock {
    const { xmlrpc, oneflow, onegate } = this.#ports;
    return {
      bind: async host => {
        await this.#gate.listen(host, onegate);
        try {
          for (const port of [xmlrpc, oneflow]) await probePort(host, port);
        } catch (error) {
          await this.#gate.close();
          throw error;
        }
      },
      release: () => this.#gate.close(),
    };
  }

  async start(block: Block): Promise<Cloud> {
    const { driver, clock } = this.#options;
    const files = this.#files;
    const endpoints = endpointsAt(block.host, this.#ports, files.auth);
    const adminSession = loginOf(files);
    const oned = this.#startOned(endpoints, adminSession);
    seedCloud(oned, adminSession, block, driver.name);
    await untilSeedUsable(oned, adminSession, clock);
    const flow = createOneFlow({
      oned,
      clock,
      sessionOf: userId => oned.sessionOf(userId) ?? '',
      ...(this.#options.onError && { onFault: this.#options.onError }),
    });
    this.#flow = flow;
    flow.resume();
    const giveUpResuming = resumeVms(oned, adminSession, files);
    await flow.listen(this.#ports.oneflow, block.host);
    this.#server = createOnedServer(oned);
    await this.#server.listen(this.#ports.xmlrpc, block.host);
    return {
      endpoints,
      oned,
      adminSession,
      close: async ({ vms = false } = {}) => {
        // OneFlow goes first: it would take the VMs' end for a fault and act on it.
        await flow.close();
        giveUpResuming();
        const late = vms ? await powerOffVms(oned, adminSession, clock, files) : [];
        await this.stop();
        return late;
      },
    };
  }

  /** Ends what has started; the front end goes last. */
  async stop(): Promise<void> {
    await this.#server?.close();
    await this.#flow?.close();
    this.#oned?.close();
    this.#options.driver.detach?.();
    this.#oned = undefined;
    this.#flow = undefined;
    await this.#gate.close();
  }

  #startOned(endpoints: CloudEndpoints, adminSession: string): EmbeddedOned {
    const { clock, driver } = this.#options;
    const password = adminSession.slice(ADMIN.length + 1);
    // SQLite gives its other files the permissions of this one: templates may hold secrets.
    closeSync(openSync(this.#files.state, 'a', 0o600));
    this.#oned = createOned({
      file: this.#files.state,
      clock,
      driver,
      admin: { name: ADMIN, password },
      endpoint: endpoints.xmlrpc,
      onegateEndpoint: endpoints.onegate,
    });
    return this.#oned;
  }

  /** OneGate listens before oned is there; until then it answers as if oned were stopped. */
  #lateOned(): Oned {
    return {
      call: (session, method, ...args) =>
        this.#oned?.call(session, method, ...args) ?? {
          ok: false,
          message: 'oned is stopped',
          errno: 8192,
          objectId: -1,
        },
      onVmEvent: listener => this.#oned?.onVmEvent(listener) ?? (() => undefined),
      gateSecret: vmId => this.#oned?.gateSecret(vmId),
    };
  }
}

/** The administrator's login: made with a password of chance at the first start, kept in `one_auth` from then on. */
function loginOf(files: CloudFiles): string {
  const state = statSync(files.state, { throwIfNoEntry: false });
  try {
    const session = readFileSync(files.auth, 'utf8').trim();
    if (session.startsWith(`${ADMIN}:`)) return session;
  } catch {
    // Not there: the first start, or lost.
  }
  if (state) {
    throw new OneFlowerError({
      code: 'login-file-missing',
      message: `The file with the administrator's login, ${files.auth}, is missing or damaged.`,
      reason: 'It was removed or changed by hand; the state knows only the hash of the password.',
      remedy: 'Put the file back, or run `oneflower cloud reset` to begin with a new state.',
      fault: 'user',
    });
  }
  const session = `${ADMIN}:${randomBytes(24).toString('base64url')}`;
  writeWhole(files.auth, `${session}\n`);
  return session;
}
