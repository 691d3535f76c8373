import { readFileSync } from 'node:fs';
import { decodeResponse, encodeCall, type XmlRpcValue } from '@oneflower/opennebula';
import { vi } from 'vitest';
import { asHash, type Hash, vmOf, xmlToHash } from '../onegate/vm-json.ts';
import type { CloudEndpoints } from './front-end.ts';

/** A client over real HTTP that shares no code with the servers but the codec. */
export class TestClient {
  readonly #endpoints: CloudEndpoints;
  readonly #session: string;

  constructor(endpoints: CloudEndpoints) {
    this.#endpoints = endpoints;
    this.#session = readFileSync(endpoints.authFile, 'utf8').trim();
  }

  async call(method: string, ...args: XmlRpcValue[]): Promise<XmlRpcValue> {
    const body = encodeCall(method, [this.#session, ...args]);
    const response = await fetch(this.#endpoints.xmlrpc, { method: 'POST', body });
    const decoded = decodeResponse(await response.text());
    if ('fault' in decoded) throw new Error(decoded.fault.message);
    const [ok, value] = Array.isArray(decoded.value) ? decoded.value : [];
    if (ok !== true || value === undefined) throw new Error(String(value));
    return value;
  }

  async vm(id: number): Promise<Hash> {
    return vmOf(xmlToHash(String(await this.call('one.vm.info', id))));
  }

  async flow(method: string, path: string, body?: unknown): Promise<{ status: number; body: Hash }> {
    const response = await fetch(`${this.#endpoints.oneflow}${path}`, {
      method,
      headers: { authorization: `Basic ${Buffer.from(this.#session).toString('base64')}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text.startsWith('{') ? JSON.parse(text) : {} };
  }

  /** Makes a VM template, and a gated service template with a superlink and two supernodes; instantiates it. */
  async deploy(name: string): Promise<number> {
    const nic = 'NIC=[NETWORK="oneflower"]\nDISK=[IMAGE="OneFlower"]';
    const context = 'CONTEXT=[NETWORK="YES",TOKEN="YES",REPORT_READY="YES"]';
    const template = await this.call(
      'one.template.allocate',
      `NAME="${name}"\nCPU="1"\nMEMORY="256"\n${nic}\n${context}`,
    );
    const role = { type: 'vm', template_id: template, min_vms: 1, max_vms: 5, cooldown: 1 };
    const made = await this.flow('POST', '/service_template', {
      name,
      deployment: 'straight',
      ready_status_gate: true,
      roles: [
        { ...role, name: 'superlink', cardinality: 1, max_vms: 1 },
        { ...role, name: 'supernode', cardinality: 2, parents: ['superlink'] },
      ],
    });
    const templateId = asHash(made.body.DOCUMENT).ID;
    const action = { perform: 'instantiate', params: { merge_template: { name } } };
    const service = await this.flow('POST', `/service_template/${templateId}/action`, { action });
    return Number(asHash(service.body.DOCUMENT).ID);
  }

  /** The service's state and the VM ids of a role; state -1 when the service is gone. */
  async service(id: number, role = 'supernode'): Promise<{ state: number; vms: number[] }> {
    const { status, body } = await this.flow('GET', `/service/${id}`);
    if (status !== 200) return { state: -1, vms: [] };
    const inner = asHash(asHash(asHash(body.DOCUMENT).TEMPLATE).BODY);
    const roles = (inner.roles as Hash[]) ?? [];
    const nodes = (roles.find(({ name }) => name === role)?.nodes as Hash[] | undefined) ?? [];
    return { state: Number(inner.state), vms: nodes.map(node => Number(node.deploy_id)) };
  }
}

/** Waits for something that happens by itself. */
export function until<T>(look: () => Promise<T> | T, timeout = 20_000): Promise<Exclude<T, false | undefined>> {
  return vi.waitUntil(look, { timeout, interval: 50 }) as Promise<Exclude<T, false | undefined>>;
}
