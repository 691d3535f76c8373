import type { Clock } from '@oneflower/contract';
import type { XmlRpcValue } from '@oneflower/opennebula';
import type { Oned, OnedAnswer, VmEvent } from '../../interfaces.ts';

/** A VM that a test moves through its states by hand. */
export interface TestVm {
  id: number;
  /** The id of the user who made it. */
  owner: string;
  name: string;
  templateId: number;
  /** The text that came with the instantiation. */
  extra: string;
  state: number;
  lcmState: number;
  startTime: number;
  /** What the VM published. */
  attributes: Map<string, string>;
  monitoring: Map<string, string>;
}

export interface StandInOptions {
  /** Serves documents, users and templates. */
  core: Oned;
  clock: Clock;
  firstVmId?: number;
  /** Milliseconds until a new VM runs by itself; without it VMs stay PENDING until told. */
  bootMs?: number;
}

const refusalCode = { noExists: 1024, action: 2048 };

/**
 * A real core for everything that is kept, with VMs and networks that do exactly what a test says: states that a
 * driver reaches by chance (a failed boot, a refused shutdown) are reached at will.
 */
export class StandIn implements Oned {
  readonly vms = new Map<number, TestVm>();
  /** `method arguments` of every call that a VM or network answered. */
  readonly calls: string[] = [];
  /** Every call is refused, as when nothing listens. */
  down = false;
  /** No document is written: the disk is full. */
  full = false;
  /** Who made VMs. */
  readonly sessions: string[] = [];
  nextVmId: number;
  nextNetworkId = 2;
  /** The next boots fail. */
  failBoots = false;
  /** A shutdown brings the VM back to RUNNING. */
  refuseShutdowns = false;
  /** A shutdown takes until the test ends the VM. */
  slowShutdowns = false;
  readonly #options: StandInOptions;
  readonly #listeners = new Set<(event: VmEvent) => void>();

  constructor(options: StandInOptions) {
    this.#options = options;
    this.nextVmId = options.firstVmId ?? 0;
  }

  call(session: string, method: string, ...args: XmlRpcValue[]): OnedAnswer {
    if (this.down) return refused(method, 'Connection refused', 8192);
    if (this.full && method === 'one.document.update') {
      return refused(method, 'Cannot write the state: database or disk is full.', 8192);
    }
    const handler = this.#handlers[method];
    if (!handler) return this.#options.core.call(session, method, ...args);
    this.calls.push(`${method} ${args.map(String).join(' ')}`);
    return handler(session, args);
  }

  onVmEvent(listener: (event: VmEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  gateSecret(vmId: number): ReturnType<Oned['gateSecret']> {
    return this.#options.core.gateSecret(vmId);
  }

  vm(id: number): TestVm {
    const vm = this.vms.get(id);
    if (!vm) throw new Error(`There is no VM ${id} in this test.`);
    return vm;
  }

  move(id: number, state: number, lcmState = 0): void {
    const vm = this.vm(id);
    vm.state = state;
    vm.lcmState = lcmState;
    this.#emit({ kind: 'state', vmId: id, state, lcmState });
  }

  run(...ids: number[]): void {
    for (const id of ids) this.move(id, 3, 3);
  }

  runAll(): void {
    for (const vm of this.vms.values()) if (vm.state === 1) this.run(vm.id);
  }

  end(id: number): void {
    this.move(id, 6);
  }

  /** The VM writes `KEY=VALUE` lines, or the XML form, into its own template. */
  update(id: number, text: string): void {
    const vm = this.vm(id);
    for (const [, key = '', value = ''] of text.matchAll(/^\s*(\w+)\s*=\s*"?([^"\n]*)"?$/gm)) {
      vm.attributes.set(key.toUpperCase(), value);
    }
    for (const [, key = '', value = ''] of text.matchAll(/<(\w+)>([^<]+)<\//g)) vm.attributes.set(key, value);
    this.#emit({ kind: 'update', vmId: id, state: vm.state, lcmState: vm.lcmState, text });
  }

  #emit(event: VmEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  readonly #handlers: Record<string, (session: string, args: XmlRpcValue[]) => OnedAnswer> = {
    'one.template.instantiate': (session, args) => this.#instantiate(session, args),
    'one.vm.info': (_session, [id]) => {
      const vm = this.vms.get(Number(id));
      return vm ? ok(vmXml(vm)) : refused('one.vm.info', `Error getting virtual machine [${id}].`);
    },
    'one.vmpool.info': () => {
      const alive = [...this.vms.values()].filter(vm => vm.state !== 6);
      return ok(`<VM_POOL>${alive.map(vmXml).join('')}</VM_POOL>`);
    },
    'one.vm.action': (_session, [action, id]) => this.#act(String(action), Number(id)),
    'one.vm.chown': (_session, [id, owner]) => {
      this.vm(Number(id)).owner = String(owner);
      return ok(Number(id));
    },
    'one.vm.recover': (_session, [id, operation]) => this.#recover(Number(id), Number(operation)),
    'one.vntemplate.instantiate': () => ok(this.nextNetworkId++),
    'one.vn.reserve': (_session, [id]) =>
      id === 1 ? ok(this.nextNetworkId++) : refused('one.vn.reserve', 'Error getting virtual network Pool.'),
    'one.vn.info': (_session, [id]) => ok(`<VNET><ID>${id}</ID><STATE>1</STATE></VNET>`),
    'one.vn.delete': (_session, [id]) => ok(Number(id)),
  };

  #instantiate(session: string, [templateId, name, hold, extra]: XmlRpcValue[]): OnedAnswer {
    const known = this.#options.core.call(session, 'one.template.info', templateId ?? -1, false, false);
    if (!known.ok) {
      return refused('one.template.instantiate', `Error getting virtual machine template [${templateId}].`);
    }
    this.sessions.push(session);
    const id = this.nextVmId++;
    const user = this.#options.core.call(session, 'one.user.info', -1);
    this.vms.set(id, {
      id,
      owner: /<ID>(\d+)</.exec(user.ok ? String(user.value) : '')?.[1] ?? '',
      name: String(name),
      templateId: Number(templateId),
      extra: String(extra),
      state: hold === true ? 2 : 1,
      lcmState: 0,
      startTime: Math.floor(this.#options.clock.now() / 1000),
      attributes: new Map(serviceMarks(String(extra))),
      monitoring: new Map(),
    });
    this.move(id, hold === true ? 2 : 1);
    if (hold !== true) this.#boot(id);
    return ok(id);
  }

  #boot(id: number): void {
    const { bootMs, clock } = this.#options;
    if (bootMs === undefined) return;
    const fails = this.failBoots;
    clock.after(bootMs, () => {
      if (this.vm(id).state !== 1 && this.vm(id).lcmState !== 36) return;
      if (fails) this.move(id, 3, 36);
      else this.run(id);
    });
  }

  #act(action: string, id: number): OnedAnswer {
    const vm = this.vms.get(id);
    if (!vm || vm.state === 6) return refused('one.vm.action', `Error getting virtual machine [${id}].`);
    if (action === 'release') {
      this.move(id, 1);
      this.#boot(id);
    } else if (action === 'poweroff') this.move(id, 8);
    else if (action === 'resume') this.run(id);
    else if (action.startsWith('terminate')) this.#terminate(id);
    return ok(id);
  }

  #terminate(id: number): void {
    if (this.refuseShutdowns) this.run(id);
    else if (this.slowShutdowns) this.move(id, 3, 12);
    else this.end(id);
  }

  #recover(id: number, operation: number): OnedAnswer {
    if (operation === 3) {
      this.end(id);
      return ok(id);
    }
    if (this.vm(id).lcmState !== 36) return refused('one.vm.recover', 'Wrong state', refusalCode.action);
    this.#boot(id);
    return ok(id);
  }
}

function ok(value: XmlRpcValue): OnedAnswer {
  return { ok: true, value };
}

function refused(method: string, message: string, errno = refusalCode.noExists): OnedAnswer {
  return { ok: false, message: `[${method}] ${message}`, errno, objectId: -1 };
}

/** What OneFlow marks the VMs of a service with. */
function serviceMarks(extra: string): [string, string][] {
  const found = [...extra.matchAll(/^(SERVICE_ID|ROLE_NAME) = "([^"]*)"$/gm)];
  return found.map(([, key = '', value = '']) => [key, value]);
}

function vmXml(vm: TestVm): string {
  const inner = (values: Map<string, string>) =>
    [...values].map(([key, value]) => `<${key}><![CDATA[${value}]]></${key}>`);
  return [
    `<VM><ID>${vm.id}</ID><UID>${vm.owner}</UID><NAME>${vm.name}</NAME><STATE>${vm.state}</STATE>`,
    `<LCM_STATE>${vm.lcmState}</LCM_STATE><STIME>${vm.startTime}</STIME>`,
    `<MONITORING>${inner(vm.monitoring).join('')}</MONITORING>`,
    `<TEMPLATE><CPU><![CDATA[1]]></CPU><NIC><IP><![CDATA[10.20.0.${vm.id}]]></IP></NIC></TEMPLATE>`,
    `<USER_TEMPLATE>${inner(vm.attributes).join('')}</USER_TEMPLATE></VM>`,
  ].join('');
}
