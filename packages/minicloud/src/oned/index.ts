import type { Clock } from '@oneflower/contract';
import type { XmlRpcValue } from '@oneflower/opennebula';
import type { Oned, OnedAnswer, VmDriver, VmEvent } from '../interfaces.ts';
import { Accounts } from './accounts.ts';
import type { Core } from './core.ts';
import { dispatch } from './dispatch.ts';
import { documentMethods } from './documents.ts';
import { errno, RequestError } from './errors.ts';
import type { Methods } from './methods.ts';
import type { Document, VmTemplate } from './model.ts';
import { ownedNameIndex } from './names.ts';
import { Store } from './store.ts';
import { systemMethods } from './system.ts';
import { type Instantiation, templateMethods } from './templates.ts';
import { userMethods } from './users.ts';

/** What an embedded oned needs. */
export interface OnedOptions {
  /** The SQLite file with its state; `:memory:` keeps nothing. */
  file: string;
  clock: Clock;
  driver: VmDriver;
  /** The administrator, made when the file is new. */
  admin: { name: string; password: string };
}

/** An embedded oned. */
export interface EmbeddedOned extends Oned {
  /** One call as XML-RPC carries it: the session, if any, is the first of `params`. */
  dispatch(method: string, params: readonly XmlRpcValue[]): OnedAnswer;
  /** Stops all work and closes the file. */
  close(): Promise<void>;
}

/** Starts an embedded oned on its state file and takes up what was under way. */
export function createOned(options: OnedOptions): EmbeddedOned {
  const { clock } = options;
  const store = new Store(options.file);
  const seconds = (): number => Math.floor(clock.now() / 1000);
  const accounts = new Accounts(store, seconds);
  let requests = 0;
  const core: Core = {
    store,
    clock,
    accounts,
    documents: store.table<Document>('document'),
    templates: store.table<VmTemplate>('vmtemplate', { indexes: ownedNameIndex }),
    seconds,
    requestId: () => requests,
  };
  store.transaction(() => accounts.initialise(options.admin));
  const vms: Instantiation = {
    extend: (_caller, template) => template,
    instantiate() {
      throw new RequestError(errno.internal, 'No host runs VMs.');
    },
  };
  const methods: Methods = {
    ...systemMethods([]),
    ...userMethods(core),
    ...documentMethods(core),
    ...templateMethods(core, vms),
  };
  const listeners = new Set<(event: VmEvent) => void>();
  const dispatcher = {
    methods,
    authenticate: (session: string) => accounts.authenticate(session),
    transaction<R>(work: () => R): R {
      requests = (requests + 1) % 10_000;
      return store.transaction(work);
    },
  };
  return {
    call: (session, method, ...args) => dispatch(dispatcher, method, [session, ...args]),
    dispatch: (method, params) => dispatch(dispatcher, method, params),
    onVmEvent(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    gateSecret: () => undefined,
    async close() {
      store.close();
    },
  };
}
