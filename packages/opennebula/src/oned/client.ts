import { isOneFlowerError, messageOf } from '@oneflower/contract';
import { CloudFailure } from '../failure.ts';
import type { Attributes } from '../template/attributes.ts';
import {
  type Host,
  hostDocument,
  type Image,
  imageDocument,
  type Network,
  networkDocument,
  systemConfigDocument,
  type User,
  userDocument,
  type Vm,
  type VmTemplate,
  vmDocument,
  vmTemplateDocument,
  type Zone,
  zoneDocument,
} from '../template/documents.ts';
import { parseDocument, parsePool } from '../template/parse.ts';
import { renderTemplate, type Template } from '../template/render.ts';
import type { XmlRpcValue } from '../xmlrpc/index.ts';
import { createOnedCaller, type OnedCall, type OnedOptions } from './caller.ts';

/** Whose objects a list holds: everybody's, one's own, or one's own and those of one's groups. */
export type Owner = keyof typeof OWNER_FILTERS;
const OWNER_FILTERS = { all: -2, mine: -3, group: -1 } as const;

/** `merge` keeps what is not named, `replace` drops it. */
export type UpdateMode = keyof typeof UPDATE_MODES;
const UPDATE_MODES = { replace: 0, merge: 1 } as const;

/** What brings a machine out of a failed or stuck state. */
export type RecoverOperation = keyof typeof RECOVER_OPERATIONS;
const RECOVER_OPERATIONS = { failure: 0, success: 1, retry: 2, delete: 3, recreate: 4 } as const;

export type VmAction =
  | 'terminate'
  | 'terminate-hard'
  | 'poweroff'
  | 'poweroff-hard'
  | 'reboot'
  | 'reboot-hard'
  | 'suspend'
  | 'resume'
  | 'stop'
  | 'undeploy'
  | 'undeploy-hard'
  | 'hold'
  | 'release';

export interface InstantiateOptions {
  /** Name of the machine; without one oned makes one up. */
  name?: string;
  hold?: boolean;
  /** Merged over the template; a CONTEXT given here replaces the template's whole. */
  extra?: Template;
}

export interface VmFilter {
  owner?: Owner;
  /** Machines that are DONE too. */
  includeDone?: boolean;
  /** Whole machines; else cut down, without USER_TEMPLATE. */
  extended?: boolean;
}

export interface LoginRequest {
  user: string;
  /** Life of the new token. */
  seconds: number;
}

/**
 * oned, typed. Every method may throw a {@link CloudFailure} (kinds see there); methods that send a template also what
 * `renderTemplate` throws. Reads are repeated after transient failures, everything else only when nothing was sent.
 */
export interface OnedClient {
  templates: {
    list(owner?: Owner): Promise<VmTemplate[]>;
    get(id: number): Promise<VmTemplate>;
    /** The template needs a NAME. Returns the id. */
    create(template: Template): Promise<number>;
    /** Returns the id of the machine. */
    instantiate(id: number, options?: InstantiateOptions): Promise<number>;
    update(id: number, template: Template, mode: UpdateMode): Promise<void>;
    /** `withImages` deletes the images that it names, too. */
    delete(id: number, withImages?: boolean): Promise<void>;
  };
  vms: {
    list(filter?: VmFilter): Promise<Vm[]>;
    get(id: number): Promise<Vm>;
    act(id: number, action: VmAction): Promise<void>;
    /** Changes USER_TEMPLATE. */
    update(id: number, template: Template, mode: UpdateMode): Promise<void>;
    rename(id: number, name: string): Promise<void>;
    recover(id: number, operation: RecoverOperation): Promise<void>;
  };
  images: { list(owner?: Owner): Promise<Image[]>; get(id: number): Promise<Image> };
  networks: { list(owner?: Owner): Promise<Network[]>; get(id: number): Promise<Network> };
  hosts: { list(): Promise<Host[]> };
  zones: { list(): Promise<Zone[]> };
  users: {
    /** The user that this client logs in as. */
    self(): Promise<User>;
    /** Needs the real id: oned refuses -1 here. */
    update(id: number, template: Template, mode: UpdateMode): Promise<void>;
    /** Makes a login token, good in place of the password. */
    login(request: LoginRequest): Promise<string>;
    /** Makes a token worthless. */
    revoke(user: string, token: string): Promise<void>;
  };
  system: {
    /** As `7.5.80`. */
    version(): Promise<string>;
    /** The server's configuration; administrators only. */
    config(): Promise<Attributes>;
  };
}

/** A client of one oned. Nothing is sent before the first call. */
export function createOnedClient(options: OnedOptions): OnedClient {
  const calls = createCalls(createOnedCaller(options));
  return {
    templates: createTemplates(calls),
    vms: createVms(calls),
    images: {
      list: owner => calls.pool('one.imagepool.info', ownedPool(owner), IMAGES),
      get: id => calls.document('one.image.info', [id], xml => parseDocument('IMAGE', imageDocument, xml)),
    },
    networks: {
      list: owner => calls.pool('one.vnpool.info', ownedPool(owner), NETWORKS),
      get: id => calls.document('one.vn.info', [id], xml => parseDocument('VNET', networkDocument, xml)),
    },
    hosts: { list: () => calls.pool('one.hostpool.info', [], HOSTS) },
    zones: { list: () => calls.pool('one.zonepool.info', [], ZONES) },
    users: createUsers(calls),
    system: {
      version: () => calls.document('one.system.version', [], version => version),
      config: () =>
        calls.document('one.system.config', [], xml =>
          parseDocument('OPENNEBULA_CONFIGURATION', systemConfigDocument, xml),
        ),
    },
  };
}

type Reader<Result> = (text: string) => Result;

const TEMPLATES: Reader<VmTemplate[]> = xml =>
  parsePool({ pool: 'VMTEMPLATE_POOL', item: 'VMTEMPLATE' }, vmTemplateDocument, xml);
const VMS: Reader<Vm[]> = xml => parsePool({ pool: 'VM_POOL', item: 'VM' }, vmDocument, xml);
const IMAGES: Reader<Image[]> = xml => parsePool({ pool: 'IMAGE_POOL', item: 'IMAGE' }, imageDocument, xml);
const NETWORKS: Reader<Network[]> = xml => parsePool({ pool: 'VNET_POOL', item: 'VNET' }, networkDocument, xml);
const HOSTS: Reader<Host[]> = xml => parsePool({ pool: 'HOST_POOL', item: 'HOST' }, hostDocument, xml);
const ZONES: Reader<Zone[]> = xml => parsePool({ pool: 'ZONE_POOL', item: 'ZONE' }, zoneDocument, xml);

interface Calls {
  /** A read that answers with a text. */
  document<Result>(method: string, params: XmlRpcValue[], read: Reader<Result>): Promise<Result>;
  pool<Result>(method: string, params: XmlRpcValue[], read: Reader<Result[]>): Promise<Result[]>;
  /** A change that answers with an id. */
  change(method: string, params: XmlRpcValue[]): Promise<number>;
  /** A change that answers with a text. */
  obtain(method: string, params: XmlRpcValue[]): Promise<string>;
}

function createCalls(call: OnedCall): Calls {
  async function document<Result>(method: string, params: XmlRpcValue[], read: Reader<Result>): Promise<Result> {
    const text = asText(method, await call(method, params, true));
    try {
      return read(text);
    } catch (error) {
      throw garbled(method, isOneFlowerError(error) ? error.message : messageOf(error), error);
    }
  }
  return {
    document,
    pool: document,
    change: async (method, params) => asId(method, await call(method, params, false)),
    obtain: async (method, params) => asText(method, await call(method, params, false)),
  };
}

function asText(method: string, value: XmlRpcValue): string {
  if (typeof value === 'string') return value;
  throw garbled(method, 'a text is expected in the answer');
}

function asId(method: string, value: XmlRpcValue): number {
  if (typeof value === 'number') return value;
  throw garbled(method, 'an id is expected in the answer');
}

function garbled(call: string, words: string, cause?: unknown): CloudFailure {
  return new CloudFailure({ server: 'oned', call, kind: 'garbled', words, cause });
}

/** Owner, and the range of ids: -1 is no limit. */
function ownedPool(owner: Owner = 'all'): XmlRpcValue[] {
  return [OWNER_FILTERS[owner], -1, -1];
}

function createTemplates(calls: Calls): OnedClient['templates'] {
  return {
    list: owner => calls.pool('one.templatepool.info', ownedPool(owner), TEMPLATES),
    get: id => calls.document('one.template.info', [id], xml => parseDocument('VMTEMPLATE', vmTemplateDocument, xml)),
    create: async template => calls.change('one.template.allocate', [renderTemplate(template)]),
    async instantiate(id, { name = '', hold = false, extra = {} } = {}) {
      return calls.change('one.template.instantiate', [id, name, hold, renderTemplate(extra), false]);
    },
    async update(id, template, mode) {
      await calls.change('one.template.update', [id, renderTemplate(template), UPDATE_MODES[mode]]);
    },
    async delete(id, withImages = false) {
      await calls.change('one.template.delete', [id, withImages]);
    },
  };
}

function createVms(calls: Calls): OnedClient['vms'] {
  return {
    list({ owner = 'all', includeDone = false, extended = false } = {}) {
      const method = extended ? 'one.vmpool.infoextended' : 'one.vmpool.info';
      return calls.pool(method, [...ownedPool(owner), includeDone ? -2 : -1], VMS);
    },
    get: id => calls.document('one.vm.info', [id], xml => parseDocument('VM', vmDocument, xml)),
    async act(id, action) {
      await calls.change('one.vm.action', [action, id]);
    },
    async update(id, template, mode) {
      await calls.change('one.vm.update', [id, renderTemplate(template), UPDATE_MODES[mode]]);
    },
    async rename(id, name) {
      await calls.change('one.vm.rename', [id, name]);
    },
    async recover(id, operation) {
      await calls.change('one.vm.recover', [id, RECOVER_OPERATIONS[operation]]);
    },
  };
}

function createUsers(calls: Calls): OnedClient['users'] {
  return {
    self: () => calls.document('one.user.info', [-1], xml => parseDocument('USER', userDocument, xml)),
    async update(id, template, mode) {
      await calls.change('one.user.update', [id, renderTemplate(template), UPDATE_MODES[mode]]);
    },
    login: ({ user, seconds }) => calls.obtain('one.user.login', [user, '', seconds, -1]),
    async revoke(user, token) {
      await calls.obtain('one.user.login', [user, token, 0, -1]);
    },
  };
}
