import type { XmlRpcValue } from '@oneflower/opennebula';
import type { Oned, OnedAnswer } from '../interfaces.ts';
import { makeToken } from '../onegate/token.ts';
import { dispatch } from './dispatch.ts';
import { createEngine, type Engine } from './engine.ts';
import type { Capacity } from './infrastructure.ts';
import type { OnedOptions } from './options.ts';
import { tokenPassword } from './vm/guest.ts';

export type { OnedOptions } from './options.ts';
export { createOnedServer, type OnedServer } from './server.ts';

/** An embedded oned. */
export interface EmbeddedOned extends Oned {
  /** One call as XML-RPC carries it: the session, if any, is the first of `params`. */
  dispatch(method: string, params: readonly XmlRpcValue[]): OnedAnswer;
  /** Milliseconds since the epoch by this cloud's clock. */
  now(): number;
  /** The id that the next object of a kind (`vm`, `document`, ...) gets. */
  setNextId(kind: string, next: number): void;
  /** A session for acting as that user, good until this process ends; undefined for an unknown user. */
  sessionOf(userId: number): string | undefined;
  /** Stops all work and closes the file; guests stay. */
  close(): void;
}

/** Room for some thousands of small VMs: an embedded cloud leaves it to the machine what really fits. */
const plenty: Capacity = { cpu: 1_000_000, memory: 4 * 1024 ** 3, disk: 1024 ** 2 };

function gateSecret(engine: Engine, vmId: number): ReturnType<Oned['gateSecret']> {
  const { core } = engine;
  const vm = core.vms.get(vmId);
  const password = vm && tokenPassword(core, vm);
  const ownerSession = vm && core.accounts.sessionFor(vm.uid);
  if (!vm || password === undefined || ownerSession === undefined) return undefined;
  return { tokenPassword: password, startTime: vm.stime, ownerSession };
}

/** Starts an embedded oned on its state file and takes up what was under way when it was last there. */
export function createOned(options: OnedOptions): EmbeddedOned {
  const engine = createEngine({
    gateToken: (vmId, startTime, password) => makeToken({ vmId, startTime, tokenPassword: password }),
    onegateEndpoint: 'http://127.0.0.1:5030',
    endpoint: 'http://localhost:2633/RPC2',
    capacity: plenty,
    delayMs: 50,
    retryMs: 1000,
    monitorMs: 1000,
    onError: () => undefined,
    ...options,
  });
  return {
    call: (session, method, ...args) => dispatch(engine, method, [session, ...args]),
    dispatch: (method, params) => dispatch(engine, method, params),
    now: () => options.clock.now(),
    onVmEvent: listener => engine.listen(listener),
    gateSecret: vmId => gateSecret(engine, vmId),
    sessionOf: userId => engine.core.accounts.sessionFor(userId),
    setNextId: (kind, next) => engine.transaction(() => engine.core.store.setNextId(kind, next)),
    close: () => engine.close(),
  };
}
