import type { z } from 'zod';
import { type ClientOptions, createGateway, type Gateway } from '../http/gateway.ts';
import { readJson } from '../http/json.ts';
import type { HttpAnswer, HttpRequest } from '../http/transport.ts';
import { documentAnswer, poolAnswer, service, serviceTemplate } from './documents.ts';
import { oneflowFailure } from './failure.ts';
import { encodeBody } from './sendable.ts';
import type { JsonObject, MergeTemplate, Service, ServiceTemplate, ServiceTemplateBody } from './types.ts';

export interface OneflowOptions extends ClientOptions {
  /** ONEFLOW_URL, for example `http://cloud:2474`. */
  url: string;
  /** `user:password` or `user:token`, as for oned. */
  session: string;
}

export interface ScaleOptions {
  /** Beyond min_vms and max_vms too. */
  force?: boolean;
}

/**
 * OneFlow, typed. Every method may throw a CloudFailure; those that send a body also what `encodeBody` throws
 * (`unsendable-character`, `oneflow-value`). Reads are repeated after transient failures, everything else only when
 * nothing was sent.
 */
export interface OneflowClient {
  templates: {
    /** Documents in an unknown shape are passed over. */
    list(): Promise<ServiceTemplate[]>;
    get(id: number): Promise<ServiceTemplate>;
    create(body: ServiceTemplateBody): Promise<ServiceTemplate>;
    /** Replaces the body. */
    update(id: number, body: ServiceTemplateBody): Promise<ServiceTemplate>;
    /** Leaves the VM templates that it names. */
    delete(id: number): Promise<void>;
    instantiate(id: number, merge?: MergeTemplate): Promise<Service>;
    /** A copy that shares the VM templates. */
    clone(id: number, name: string): Promise<ServiceTemplate>;
    rename(id: number, name: string): Promise<void>;
  };
  services: {
    /** Documents in an unknown shape are passed over. */
    list(): Promise<Service[]>;
    get(id: number): Promise<Service>;
    /** Only in RUNNING (kind `wrong-state` else); the same or a forbidden number is `refused`. */
    scale(id: number, role: string, cardinality: number, options?: ScaleOptions): Promise<void>;
    /** Acts on the service: `release`, `rename`, `poweroff`, and so on. */
    act(id: number, action: string, params?: JsonObject): Promise<void>;
    /** Acts on all machines of a role. */
    actOnRole(id: number, role: string, action: string, params?: JsonObject): Promise<void>;
    /** Goes on after a FAILED state, and ends a cooldown. */
    recover(id: number): Promise<void>;
    /** Gives up a service that cannot be deleted; its machines are terminated. */
    recoverDelete(id: number): Promise<void>;
    /**
     * Starts the removal. Never send it twice: while UNDEPLOYING it drops the document and leaves machines behind.
     */
    delete(id: number): Promise<void>;
    /** Removes the documents of services that are DONE. */
    purgeDone(): Promise<void>;
  };
}

/** A client of one OneFlow. Nothing is sent before the first call. */
export function createOneflowClient(options: OneflowOptions): OneflowClient {
  const send = createSend(createGateway('oneflow', options), options);
  return { templates: createTemplates(send), services: createServices(send) };
}

interface FlowCall<Result> {
  method: HttpRequest['method'];
  path: string;
  body?: unknown;
  read: (call: string, answer: HttpAnswer) => Result;
}
type Send = <Result>(call: FlowCall<Result>) => Promise<Result>;

function createSend(gateway: Gateway, options: OneflowOptions): Send {
  const base = options.url.replace(/\/+$/, '');
  const authorization = `Basic ${Buffer.from(options.session).toString('base64')}`;
  return async ({ method, path, body, read }) => {
    const name = `${method} ${path}`;
    const headers = { authorization, accept: '*/*', 'content-type': 'application/json' };
    const content = body === undefined ? {} : { body: encodeBody(body) };
    return gateway({
      name,
      safe: method === 'GET',
      request: { method, url: `${base}${path}`, headers, ...content },
      read(answer) {
        if (answer.status >= 200 && answer.status < 300) return read(name, answer);
        throw oneflowFailure(name, answer);
      },
    });
  };
}

function json<Result>(schema: z.ZodType<Result>): FlowCall<Result>['read'] {
  return (call, answer) => readJson('oneflow', call, answer, schema);
}

function nothing(): void {}

function perform(action: string, params?: JsonObject | { merge_template: MergeTemplate }) {
  return { action: params === undefined ? { perform: action } : { perform: action, params } };
}

function createTemplates(send: Send): OneflowClient['templates'] {
  const one = json(documentAnswer(serviceTemplate));
  const path = (id: number) => `/service_template/${id}`;
  return {
    list: () => send({ method: 'GET', path: '/service_template', read: json(poolAnswer(serviceTemplate)) }),
    get: id => send({ method: 'GET', path: path(id), read: one }),
    create: body => send({ method: 'POST', path: '/service_template', body, read: one }),
    update: (id, body) => send({ method: 'PUT', path: path(id), body, read: one }),
    delete: id => send({ method: 'DELETE', path: path(id), body: { delete_type: 'none' }, read: nothing }),
    instantiate: (id, merge = {}) =>
      send({
        method: 'POST',
        path: `${path(id)}/action`,
        body: perform('instantiate', { merge_template: merge }),
        read: json(documentAnswer(service)),
      }),
    clone: (id, name) =>
      send({
        method: 'POST',
        path: `${path(id)}/action`,
        body: perform('clone', { name, recursive: 'none' }),
        read: one,
      }),
    rename: (id, name) =>
      send({ method: 'POST', path: `${path(id)}/action`, body: perform('rename', { name }), read: nothing }),
  };
}

function createServices(send: Send): OneflowClient['services'] {
  const path = (id: number) => `/service/${id}`;
  const act = (id: number, action: string, params?: JsonObject) =>
    send({ method: 'POST', path: `${path(id)}/action`, body: perform(action, params), read: nothing });
  return {
    list: () => send({ method: 'GET', path: '/service', read: json(poolAnswer(service)) }),
    get: id => send({ method: 'GET', path: path(id), read: json(documentAnswer(service)) }),
    scale: (id, role, cardinality, { force = false } = {}) =>
      send({ method: 'POST', path: `${path(id)}/scale`, body: { cardinality, force, role_name: role }, read: nothing }),
    act,
    actOnRole: (id, role, action, params) =>
      send({
        method: 'POST',
        path: `${path(id)}/role/${encodeURIComponent(role)}/action`,
        body: perform(action, params ?? {}),
        read: nothing,
      }),
    recover: id => act(id, 'recover', { delete: false }),
    recoverDelete: id => act(id, 'recover', { delete: true }),
    delete: id => send({ method: 'DELETE', path: path(id), read: nothing }),
    purgeDone: () => send({ method: 'POST', path: '/service_pool/purge_done', read: nothing }),
  };
}
