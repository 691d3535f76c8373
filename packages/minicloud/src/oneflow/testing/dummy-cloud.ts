import type { XmlRpcValue } from '@oneflower/opennebula';
import { createDummyDriver } from '../../drivers/dummy.ts';
import type { Oned, OnedAnswer, VmDriver, VmEvent } from '../../interfaces.ts';
import type { EmbeddedOned } from '../../oned/index.ts';

/** What a test asks of the driver. */
interface Wishes {
  failBoots: boolean;
  refuseShutdowns: boolean;
  slowShutdowns: boolean;
}

/** The dummy driver, with failures and delays that last until they are called off. */
export function createWishfulDriver(): { driver: VmDriver; wishes: Wishes; finish(vmId: number): void } {
  const wishes: Wishes = { failBoots: false, refuseShutdowns: false, slowShutdowns: false };
  const open = new Map<number, () => void>();
  const dummy = createDummyDriver();
  const driver: VmDriver = {
    ...dummy,
    async deploy(vm) {
      if (wishes.failBoots) throw new Error('the boot was made to fail');
      await dummy.deploy(vm);
    },
    async shutdown(vmId, options) {
      if (wishes.refuseShutdowns && !options.hard) throw new Error('the shutdown was made to fail');
      if (wishes.slowShutdowns) await new Promise<void>(resolve => open.set(vmId, resolve));
      await dummy.shutdown(vmId, options);
    },
  };
  return { driver, wishes, finish: vmId => open.get(vmId)?.() };
}

/** The real core with the dummy driver, and what happens in a cloud by itself: what guests write, what people do. */
export class DummyCloud implements Oned {
  /** Every call is refused, as when nothing listens. */
  down = false;
  readonly wishes: Wishes;
  /** How often each method was called. */
  readonly counts = new Map<string, number>();
  readonly #core: EmbeddedOned;
  readonly #session: string;
  readonly #finish: (vmId: number) => void;
  readonly #monitoring = new Map<number, string>();

  constructor(core: EmbeddedOned, session: string, driver: ReturnType<typeof createWishfulDriver>) {
    this.#core = core;
    this.#session = session;
    this.wishes = driver.wishes;
    this.#finish = driver.finish;
  }

  call(session: string, method: string, ...args: XmlRpcValue[]): OnedAnswer {
    this.counts.set(method, (this.counts.get(method) ?? 0) + 1);
    if (this.down) return { ok: false, message: `[${method}] Connection refused`, errno: 8192, objectId: -1 };
    const answer = this.#core.call(session, method, ...args);
    const load = method === 'one.vm.info' ? this.#monitoring.get(Number(args[0])) : undefined;
    if (!answer.ok || load === undefined) return answer;
    // The load of a VM is measured on its host, and the dummy driver's VMs have none.
    const value = String(answer.value).replace(/<MONITORING\s*\/>|<MONITORING>.*?<\/MONITORING>/s, load);
    return { ok: true, value };
  }

  onVmEvent(listener: (event: VmEvent) => void): () => void {
    return this.#core.onVmEvent(listener);
  }

  gateSecret(vmId: number): ReturnType<Oned['gateSecret']> {
    return this.#core.gateSecret(vmId);
  }

  setNextVmId(id: number): void {
    this.#core.setNextId('vm', id);
  }

  /** A guest writes into its VM's template, as OneGate passes it on. */
  update(vmId: number, text: string): void {
    this.#act('one.vm.update', vmId, text, 1);
  }

  poweroff(vmId: number): void {
    this.#act('one.vm.action', 'poweroff-hard', vmId);
  }

  resume(vmId: number): void {
    this.#act('one.vm.action', 'resume', vmId);
  }

  /** Somebody ends a VM, or a slow shutdown comes to its end. */
  end(vmId: number): void {
    if (this.wishes.slowShutdowns) this.#finish(vmId);
    else this.#act('one.vm.action', 'terminate-hard', vmId);
  }

  monitor(vmId: number, values: Record<string, string>): void {
    const elements = Object.entries(values).map(([name, text]) => `<${name}><![CDATA[${text}]]></${name}>`);
    this.#monitoring.set(vmId, `<MONITORING>${elements.join('')}</MONITORING>`);
  }

  #act(method: string, ...args: XmlRpcValue[]): void {
    const answer = this.#core.call(this.#session, method, ...args);
    if (!answer.ok) throw new Error(answer.message);
  }
}
