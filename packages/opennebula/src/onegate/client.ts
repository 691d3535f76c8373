import { OneFlowerError } from '@oneflower/contract';
import type { z } from 'zod';
import { CloudFailure, type FailureKind } from '../failure.ts';
import { type ClientOptions, createGateway, type Gateway } from '../http/gateway.ts';
import { isHtml, readJson } from '../http/json.ts';
import type { HttpAnswer, HttpRequest } from '../http/transport.ts';
import { encodeAttributes, encodeErasure } from './attributes.ts';
import { type GateService, type GateVm, serviceAnswer, vmAnswer } from './documents.ts';

export interface OnegateOptions extends ClientOptions {
  /** ONEGATE_ENDPOINT of the context, for example `http://169.254.16.9:5030`. */
  endpoint: string;
  /** The content of `token.txt`. */
  token: string;
  /** VMID of the context. */
  vmId: number;
}

export interface OnegateClient {
  /** The own machine. */
  vm(): Promise<GateVm>;
  /** A machine of the same service. */
  vmById(id: number): Promise<GateVm>;
  /**
   * Sets attributes of the own machine, all in one request: none is seen without the others.
   * Throws also what `encodeAttributes` throws.
   */
  publish(attributes: Readonly<Record<string, string>>): Promise<void>;
  /** Sets attributes of a machine of the same service. */
  publishTo(id: number, attributes: Readonly<Record<string, string>>): Promise<void>;
  /** Erases attributes of the own machine, one request each; absent ones are passed over. */
  erase(names: readonly string[]): Promise<void>;
  /** The own service; without `extended` its nodes are ids and names only. */
  service(options?: { extended?: boolean }): Promise<GateService>;
  /** Asks OneFlow for another number of nodes; refused (kind `refused`) outside RUNNING and beyond the limits. */
  scaleRole(role: string, cardinality: number): Promise<void>;
  /** Acts on a machine of the same service. */
  act(id: number, action: string): Promise<void>;
}

/** Deadline of one request to OneGate, which answers in milliseconds when it does. */
const TIMEOUT_MS = 10_000;

/**
 * A client of OneGate, as one machine. Nothing is sent before the first call. Every method may throw a
 * CloudFailure, or `onegate-token` when the token cannot be one.
 */
export function createOnegateClient(options: OnegateOptions): OnegateClient {
  const send = createSend(createGateway('onegate', { timeoutMs: TIMEOUT_MS, ...options }), options);
  async function put(path: string, body: string): Promise<void> {
    await send({ method: 'PUT', path, body, form: true, read: () => undefined });
  }
  async function eraseOne(name: string, present: ReadonlySet<string>): Promise<void> {
    if (present.has(name)) await put('/vm', encodeErasure(name));
  }
  const vm = () => send({ method: 'GET', path: '/vm', read: json(vmAnswer) });
  return {
    vm,
    vmById: id => send({ method: 'GET', path: `/vms/${id}`, read: json(vmAnswer) }),
    publish: async attributes => put('/vm', encodeAttributes(attributes)),
    publishTo: async (id, attributes) => put(`/vms/${id}`, encodeAttributes(attributes)),
    async erase(names) {
      const present = new Set(Object.keys((await vm()).userTemplate));
      for (const name of names) await eraseOne(name, present);
    },
    service: ({ extended = false } = {}) =>
      send({ method: 'GET', path: extended ? '/service?extended=true' : '/service', read: json(serviceAnswer) }),
    async scaleRole(role, cardinality) {
      const path = `/service/role/${encodeURIComponent(role)}`;
      await send({ method: 'PUT', path, body: JSON.stringify({ cardinality }), read: () => undefined });
    },
    async act(id, action) {
      const body = JSON.stringify({ action: { perform: action } });
      await send({ method: 'POST', path: `/vms/${id}/action`, body, read: () => undefined });
    },
  };
}

type Read<Result> = (call: string, answer: HttpAnswer) => Result;

interface GateCall<Result> {
  method: HttpRequest['method'];
  path: string;
  body?: string;
  form?: boolean;
  read: Read<Result>;
}

function json<Result>(schema: z.ZodType<Result>): Read<Result> {
  return (call, answer) => readJson('onegate', call, answer, schema);
}

function createSend(gateway: Gateway, options: OnegateOptions) {
  const base = options.endpoint.replace(/\/+$/, '');
  const login = { 'X-ONEGATE-TOKEN': options.token.trim(), 'X-ONEGATE-VMID': String(options.vmId), accept: '*/*' };
  return async <Result>({ method, path, body, form = false, read }: GateCall<Result>): Promise<Result> => {
    assertToken(login['X-ONEGATE-TOKEN']);
    const name = `${method} ${path}`;
    const headers = { ...login, 'content-type': form ? 'application/x-www-form-urlencoded' : 'application/json' };
    return gateway({
      name,
      safe: method === 'GET',
      request: {
        method,
        url: `${base}${path}`,
        headers: body === undefined ? login : headers,
        ...(body === undefined ? {} : { body }),
      },
      read(answer) {
        if (answer.status >= 200 && answer.status < 300) return read(name, answer);
        throw onegateFailure(name, answer);
      },
    });
  };
}

/** An HTTP client would repeat an unfit header value, a secret here, in its error. */
function assertToken(token: string): void {
  if (/^[\x21-\x7e]+$/.test(token)) return;
  throw new OneFlowerError({
    code: 'onegate-token',
    message: 'The OneGate token of this machine is no token.',
    reason: 'The token file is empty or damaged.',
    remedy: 'Check that the template of the machine has TOKEN = "YES" in its CONTEXT, and boot the machine anew.',
  });
}

const KIND_OF_STATUS: Readonly<Record<number, FailureKind>> = {
  400: 'refused',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not-found',
  500: 'crashed',
};

/** A service is "not found" also while OneFlow is down, so it is not final; any error of a gateway in between neither. */
function onegateFailure(call: string, { status, body }: HttpAnswer): CloudFailure {
  const kind = isHtml(body) ? 'garbled' : (KIND_OF_STATUS[status] ?? 'garbled');
  const transient = status === 401 || status === 404 || status >= 500;
  return new CloudFailure({
    server: 'onegate',
    call,
    kind,
    words: isHtml(body) ? 'a page of HTML' : body,
    status,
    transient,
  });
}
