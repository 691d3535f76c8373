import { FakeClock } from '@oneflower/contract';
import { decodeCall, type XmlRpcValue } from '@oneflower/opennebula';
import { createDummyDriver, type DummyDriver } from '../drivers/dummy.ts';
import type { Oned } from '../interfaces.ts';
import { createOned, type EmbeddedOned } from '../oned/index.ts';
import { createOneFlow, type OneFlow } from '../oneflow/index.ts';
import { recording } from '../testing/recordings.ts';
import { createFlowClient } from './flow-client.ts';
import { createOneGate, type OneGate } from './server.ts';
import { makeToken } from './token.ts';
import { asHash, type Hash, vmOf, xmlToHash } from './vm-json.ts';

const session = 'oneadmin:throwaway-admin-1';

/** What the recordings were made against, built again: the same objects with the same ids, on a clock that is moved. */
export class Stage {
  readonly clock = new FakeClock();
  readonly driver: DummyDriver = createDummyDriver();
  readonly oned: EmbeddedOned;
  readonly flow: OneFlow;
  readonly gate: OneGate;
  onedDown = false;
  flowDown = false;

  constructor() {
    this.oned = createOned({
      file: ':memory:',
      clock: this.clock,
      driver: this.driver,
      admin: { name: 'oneadmin', password: 'throwaway-admin-1' },
    });
    this.flow = createOneFlow({
      oned: this.oned,
      clock: this.clock,
      sessionOf: userId => this.oned.sessionOf(userId) ?? '',
    });
    this.flow.resume();
    this.gate = createOneGate({
      oned: this.#switchedOned(),
      flow: createFlowClient(request => (this.flowDown ? undefined : this.flow.handle(request))),
    });
  }

  async close(): Promise<void> {
    await this.gate.close();
    await this.flow.close();
    this.oned.close();
  }

  call(method: string, ...args: XmlRpcValue[]): XmlRpcValue {
    const answer = this.oned.call(session, method, ...args);
    if (!answer.ok) throw new Error(`${method}: ${answer.message}`);
    return answer.value;
  }

  /** Repeats recorded administrator's calls. */
  repeat(...stems: string[]): void {
    for (const stem of stems) {
      const { method, params } = decodeCall(recording('xmlrpc', stem).request.body);
      this.oned.dispatch(method, params);
    }
  }

  /** Repeats a recorded OneFlow request, of its folder or of the command line tools'. */
  repeatFlow(area: string, stem: string): void {
    const { method, path, body } = recording(area, stem).request;
    this.askFlow(method, path, body);
  }

  askFlow(method: string, path: string, body: unknown = ''): void {
    const authorization = `Basic ${Buffer.from(session).toString('base64')}`;
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const answer = this.flow.handle({ method, path, headers: { authorization }, body: text });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
  }

  scale(serviceId: number, role: string, cardinality: number): void {
    this.askFlow('POST', `/service/${serviceId}/scale`, { role_name: role, cardinality, force: false });
  }

  /** The number that the next VM or document gets. */
  next(kind: 'vm' | 'document', id: number): void {
    this.oned.setNextId(kind, id);
  }

  vm(id: number): Hash {
    return vmOf(xmlToHash(String(this.call('one.vm.info', id))));
  }

  userTemplate(id: number): Hash {
    return asHash(this.vm(id).USER_TEMPLATE);
  }

  /** Sets the whole USER_TEMPLATE. */
  setUserTemplate(id: number, text: string): void {
    this.call('one.vm.update', id, text, 0);
  }

  put(id: number, text: string): void {
    this.call('one.vm.update', id, text, 1);
  }

  token(id: number): string {
    const secret = this.oned.gateSecret(id);
    return secret ? makeToken({ vmId: id, ...secret }) : '';
  }

  /** Lets time pass until the VM has that state. */
  async untilVm(id: number, state: string, lcmState?: string): Promise<void> {
    await this.#until(`VM ${id} in state ${state}`, () => {
      const answer = this.oned.call(session, 'one.vm.info', id);
      if (!answer.ok) return false;
      const vm = vmOf(xmlToHash(String(answer.value)));
      return vm.STATE === state && (lcmState === undefined || vm.LCM_STATE === lcmState);
    });
  }

  untilRunning(id: number): Promise<void> {
    return this.untilVm(id, '3', '3');
  }

  async untilService(id: number, state: number): Promise<void> {
    await this.#until(`service ${id} in state ${state}`, () => {
      const answer = this.oned.call(session, 'one.document.info', id);
      return answer.ok && String(answer.value).includes(`"state":${state},`) && this.serviceState(id) === state;
    });
  }

  serviceState(id: number): number {
    const document = asHash(xmlToHash(String(this.call('one.document.info', id))).DOCUMENT);
    return Number(JSON.parse(String(asHash(document.TEMPLATE).BODY)).state);
  }

  async #until(what: string, done: () => boolean): Promise<void> {
    for (let waited = 0; !done(); waited++) {
      if (waited > 200) throw new Error(`${what}: not within 200 s`);
      await this.clock.advance(1000);
    }
  }

  #switchedOned(): Oned {
    return {
      call: (...args) =>
        this.onedDown ? { ok: false, message: 'stopped', errno: 8192, objectId: -1 } : this.oned.call(...args),
      onVmEvent: listener => this.oned.onVmEvent(listener),
      gateSecret: id => (this.onedDown ? undefined : this.oned.gateSecret(id)),
    };
  }
}
