import type { VmDriver, VmEvent } from '../interfaces.ts';
import { Accounts } from './accounts.ts';
import { Announcer } from './announcer.ts';
import { configuration } from './configuration.ts';
import type { Core } from './core.ts';
import { datastoreMethods, initialiseDatastores } from './datastores.ts';
import { documentMethods } from './documents.ts';
import { fixedMethods } from './fixed.ts';
import { groupMethods } from './groups.ts';
import { hostMethods, measureHost } from './hosts.ts';
import { imageMethods, makeImageReady } from './images.ts';
import {
  type Datastore,
  type Host,
  hostState,
  type Image,
  imageState,
  type Network,
  networkState,
} from './infrastructure.ts';
import { leaseTable } from './leases.ts';
import { membershipMethods } from './memberships.ts';
import type { Methods } from './methods.ts';
import type { Caller, Document, VmTemplate } from './model.ts';
import { ownedNameIndex } from './names.ts';
import { networkTemplateMethods } from './network-templates.ts';
import { makeNetworkReady, networkMethods } from './networks.ts';
import type { OnedOptions } from './options.ts';
import { quotaMethods } from './quotas.ts';
import { Store } from './store.ts';
import { systemMethods } from './system.ts';
import { Tasks } from './tasks.ts';
import { templateMethods } from './templates.ts';
import { Transactions } from './transactions.ts';
import { userMethods } from './users.ts';
import { extendTemplate, instantiateVm } from './vm/allocate.ts';
import { Lifecycle } from './vm/lifecycle.ts';
import { vmMethods } from './vm/methods.ts';
import { type Vm, vmTable } from './vm/model.ts';
import { lookAtGuests } from './vm/monitor.ts';
import { schedule } from './vm/scheduler.ts';
import { lcm, state } from './vm/states.ts';

/** oned's parts, put together. */
export interface Engine {
  core: Core;
  methods: Methods;
  authenticate(session: string): Caller | undefined;
  /** Runs one request as one transaction; events follow its commit. */
  transaction<R>(work: () => R): R;
  listen(listener: (event: VmEvent) => void): () => void;
  onError(error: unknown): void;
  close(): void;
}

/** States in which a guest may be there although its start was not yet noted. */
const starting: readonly number[] = [lcm.boot, lcm.bootPoweroff, lcm.bootSuspended, lcm.bootStopped, lcm.bootUndeploy];

type Tables = Pick<
  Core,
  'documents' | 'templates' | 'networkTemplates' | 'networks' | 'leases' | 'images' | 'datastores' | 'hosts' | 'vms'
>;

function openTables(store: Store): Tables {
  return {
    documents: store.table<Document>('document'),
    templates: store.table<VmTemplate>('vmtemplate', { indexes: ownedNameIndex }),
    networkTemplates: store.table<VmTemplate>('vntemplate', { indexes: ownedNameIndex }),
    networks: store.table<Network>('vnet', { indexes: ownedNameIndex }),
    leases: leaseTable(store),
    images: store.table<Image>('image', {
      indexes: { ...ownedNameIndex, datastore: image => [image.datastoreId] },
    }),
    datastores: store.table<Datastore>('datastore', { indexes: ownedNameIndex }),
    hosts: store.table<Host>('host'),
    vms: vmTable(store),
  };
}

/** The scheduler's and the monitor's timers: one scheduling at a time is due, and the monitor never overtakes itself. */
function startClockwork(parts: {
  core: Core;
  driver: VmDriver;
  tasks: Tasks;
  options: Required<OnedOptions>;
  lifecycle: Lifecycle;
  insist(work: () => void): void;
}): { reschedule(): void } {
  const { core, driver, lifecycle, tasks, options, insist } = parts;
  let due = false;
  function scheduleIn(ms: number): void {
    if (due) return;
    due = true;
    tasks.after(ms, () => {
      due = false;
      insist(() => schedule(core));
      if (core.vms.lookup('state', state.pending).size > 0) scheduleIn(options.retryMs);
    });
  }
  function monitorLater(): void {
    tasks.after(options.monitorMs, () => {
      const look = lookAtGuests({
        core,
        driver,
        isRebooting: id => lifecycle.isRebooting(id),
        transaction: insist,
        isClosed: () => tasks.closed,
      });
      void look.then(monitorLater);
    });
  }
  monitorLater();
  return { reschedule: () => scheduleIn(options.delayMs) };
}

/** Takes up what the stored states say was under way when the last process ended. */
function resume(parts: {
  core: Core;
  driver: VmDriver;
  lifecycle: Lifecycle;
  isClosed(): boolean;
  reenter(vm: Vm): void;
}): void {
  const { core, driver, lifecycle, isClosed, reenter } = parts;
  for (const image of core.images.list()) {
    if (image.state === imageState.locked) core.later(() => makeImageReady(core, image.id));
  }
  for (const network of core.networks.list()) {
    if (network.state === networkState.locked) core.later(() => makeNetworkReady(core, network.id));
  }
  for (const host of core.hosts.list()) {
    if (host.state === hostState.init) core.later(() => measureHost(core, host.id));
  }
  if (core.vms.lookup('state', state.pending).size > 0) core.reschedule();
  for (const vm of core.vms.list()) {
    // What a request has moved on since this process began is under way already.
    if (vm.state !== state.active || vm.lcm === lcm.running || lifecycle.isUnderWay(vm.id)) continue;
    if (!starting.includes(vm.lcm)) {
      lifecycle.enter(vm);
      continue;
    }
    // The guest may have been started and its start not noted: then it is adopted, not started twice.
    const check = driver.isRunning(vm.id).catch(() => false);
    void check.then(there => {
      const current = core.vms.get(vm.id);
      if (isClosed() || current?.lcm !== vm.lcm || lifecycle.isUnderWay(vm.id)) return;
      if (there) reenter(vm);
      else lifecycle.enter(vm);
    });
  }
}

/** Opens the state file and starts all parts. */
export function createEngine(options: Required<OnedOptions>): Engine {
  const { clock, driver } = options;
  const store = new Store(options.file);
  const tasks = new Tasks(clock, options.onError);
  const announcer = new Announcer(options.onError);
  const seconds = (): number => Math.floor(clock.now() / 1000);
  const accounts = new Accounts(store, seconds);
  const tables = openTables(store);
  let reschedule = (): void => undefined;
  const transactions = new Transactions(store, announcer, tables.vms);
  const transaction = transactions.run;
  const insist = (work: () => void): void => tasks.insist(() => transaction(work));
  const core: Core = {
    ...tables,
    store,
    clock,
    accounts,
    capacity: options.capacity,
    gateEndpoint: options.onegateEndpoint,
    seconds,
    requestId: () => transactions.number,
    later: work => tasks.after(options.delayMs, () => insist(work)),
    reschedule: () => reschedule(),
    announceUpdate: (vmId, text) => announcer.update(vmId, text),
  };
  const lifecycle = new Lifecycle({ core, driver, gateToken: options.gateToken, transaction: insist });
  transactions.onCommit = vm => {
    if (vm.state === state.pending) reschedule();
    lifecycle.enter(vm);
  };
  store.transaction(() => {
    accounts.initialise(options.admin);
    initialiseDatastores(core);
  });
  reschedule = startClockwork({ core, driver, lifecycle, tasks, options, insist }).reschedule;
  tasks.after(0, () =>
    resume({
      core,
      driver,
      lifecycle,
      isClosed: () => tasks.closed,
      reenter: vm => lifecycle.adopt(vm),
    }),
  );
  return {
    core,
    methods: allMethods(core, lifecycle, options),
    authenticate: session => accounts.authenticate(session),
    transaction,
    onError: options.onError,
    listen: listener => announcer.listen(listener),
    close() {
      tasks.close();
      lifecycle.close();
      store.close();
    },
  };
}

function allMethods(core: Core, lifecycle: Lifecycle, options: Required<OnedOptions>): Methods {
  const endpointPort = new URL(options.endpoint).port || '80';
  return {
    ...systemMethods(
      configuration({ endpointPort, gateEndpoint: options.onegateEndpoint, driver: options.driver.name }),
    ),
    ...userMethods(core),
    ...membershipMethods(core),
    ...quotaMethods(core),
    ...groupMethods(core),
    ...fixedMethods(core, options.endpoint),
    ...hostMethods(core),
    ...datastoreMethods(core),
    ...imageMethods(core),
    ...networkMethods(core),
    ...networkTemplateMethods(core),
    ...documentMethods(core),
    ...templateMethods(core, {
      extend: (caller, template) => extendTemplate(core, caller, template),
      instantiate: (caller, source, wish) => instantiateVm(core, caller, source, wish),
    }),
    ...vmMethods(core, { core, reboot: (id, hard) => lifecycle.reboot(id, hard) }),
  };
}
