import type { Oned } from '../interfaces.ts';
import { requote } from './escaper.ts';
import { bodyText, type GateRequest, readParams } from './params.ts';
import { internalError, notAuthorised, Refusal, type Reply } from './reply.ts';
import { contains, type GateFlow, type GateService, serviceJson } from './service.ts';
import { verifyToken } from './token.ts';
import { asHash, briefVm, type Hash, identityOf, templateWithout, vmOf, xmlToHash } from './vm-json.ts';

/** What OneGate stands between: oned and OneFlow. */
export interface GateParts {
  oned: Oned;
  flow: GateFlow;
}

/** A VM that has proved who it is. What it asks for is done with its owner's session. */
interface Caller {
  id: number;
  session: string;
  vm: Hash;
}

/** Attributes that a VM may not write (stock settings of OneGate). */
const RESTRICTED_ATTRIBUTES = ['SCHED_REQUIREMENTS', 'SERVICE_ID', 'ROLE_NAME'];
/** Actions that a VM may not ask for (stock settings of OneGate). */
const RESTRICTED_ACTIONS = ['reboot'];
const ACTIONS = [
  'hold',
  'release',
  'terminate',
  'terminate-hard',
  'stop',
  'suspend',
  'resume',
  'undeploy',
  'undeploy-hard',
  'poweroff',
  'poweroff-hard',
  'reboot',
  'reboot-hard',
  'resched',
  'unresched',
];
/**
 * What XML-RPC cannot carry to oned: control characters, and all beyond U+FFFF (seen: fault -503). Where XML refers to
 * one, oned itself takes it for no template.
 */
const UNSENDABLE = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD]/u;
const SET = 1;
const ERASE = 2;

type Handler = (parts: GateParts, request: GateRequest, caller: Caller, argument: string) => Promise<Reply> | Reply;

const routes: readonly { method: string; path: RegExp; handle: Handler }[] = [
  { method: 'GET', path: /^\/$/, handle: showRoot },
  { method: 'GET', path: /^\/vm$/, handle: (_parts, _request, caller) => json(briefVm(caller.vm)) },
  { method: 'PUT', path: /^\/vm$/, handle: (parts, request, caller) => update(parts, request, caller, caller.vm) },
  { method: 'GET', path: /^\/vms\/([^/]+)$/, handle: showOther },
  { method: 'PUT', path: /^\/vms\/([^/]+)$/, handle: updateOther },
  { method: 'POST', path: /^\/vms\/([^/]+)\/action$/, handle: act },
  { method: 'GET', path: /^\/service$/, handle: showService },
  { method: 'PUT', path: /^\/service\/role\/([^/]+)$/, handle: scaleRole },
  { method: 'GET', path: /^\/vrouter$/, handle: () => refuse(400, 'Empty or invalid VROUTER_ID') },
  { method: 'GET', path: /^\/vnet\/([^/]+)$/, handle: () => refuse(400, NO_ROUTER) },
];
const NO_ROUTER = 'Virtual networks information can only be retrieved from Virtual Routers.';

/** Answers one request. Never throws for bad input. */
export async function answer(parts: GateParts, request: GateRequest): Promise<Reply> {
  try {
    const route = routes.find(({ method, path }) => method === request.method && path.test(request.path));
    if (!route) return refuse(400, "OneGate server doesn't support this feature");
    const caller = authenticate(parts.oned, request);
    const argument = decodeURIComponent(route.path.exec(request.path)?.[1] ?? '');
    return await route.handle(parts, request, caller, argument);
  } catch (error) {
    if (error instanceof Refusal) {
      return {
        status: error.status,
        body: error.message,
        ...(error.contentType && { contentType: error.contentType }),
      };
    }
    if (error instanceof URIError) return refuse(400, 'Bad Request');
    throw error;
  }
}

/** Every way to fail ends in the same 401: missing headers, a wrong token, an unknown VM, an oned that is away. */
function authenticate(oned: Oned, request: GateRequest): Caller {
  const token = request.headers['x-onegate-token'];
  const claimed = request.headers['x-onegate-vmid'];
  if (!token || !claimed) throw notAuthorised();
  const id = leadingInteger(claimed);
  const secret = oned.gateSecret(id);
  if (!secret || secret.tokenPassword.length < 32) throw notAuthorised();
  const { tokenPassword, startTime, ownerSession } = secret;
  if (!verifyToken(token, { vmId: id, startTime, tokenPassword })) throw notAuthorised();
  const vm = readVm(oned, ownerSession, id);
  if (!vm) throw notAuthorised();
  return { id, session: ownerSession, vm };
}

function readVm(oned: Oned, session: string, id: number): Hash | undefined {
  const info = oned.call(session, 'one.vm.info', id);
  return info.ok ? vmOf(xmlToHash(String(info.value))) : undefined;
}

function showRoot(_parts: GateParts, request: GateRequest): Reply {
  const base = `http://${request.headers.host ?? ''}`;
  return json({ vm_info: `${base}/vm`, service_info: `${base}/service` });
}

async function showOther(parts: GateParts, _request: GateRequest, caller: Caller, argument: string): Promise<Reply> {
  return json(briefVm((await reachable(parts, caller, argument)).vm));
}

async function updateOther(parts: GateParts, request: GateRequest, caller: Caller, argument: string): Promise<Reply> {
  const target = await reachable(parts, caller, argument);
  return update(parts, request, target, target.vm);
}

/** The VM itself or another one of its service; the owner's rights decide the rest. */
async function reachable(parts: GateParts, caller: Caller, argument: string): Promise<Caller> {
  const id = leadingInteger(argument);
  if (id === caller.id) return caller;
  if (serviceIdOf(caller) === undefined) {
    throw new Refusal(
      400,
      'This VM does not belong to any Virtual Router or Service, so it cannot retrieve information from other VMs',
    );
  }
  const service = await ownService(parts, caller);
  if (!contains(service, id)) throw new Refusal(400, `Service ${service.id} does not contain VM ${id}.`);
  const vm = readVm(parts.oned, caller.session, id);
  if (!vm) throw new Refusal(404, `Virtual Machine ${id} not found`);
  return { id, session: caller.session, vm };
}

function serviceIdOf(caller: Caller): number | undefined {
  const text = asHash(caller.vm.USER_TEMPLATE).SERVICE_ID;
  return typeof text === 'string' && /^\d+$/.test(text) ? Number(text) : undefined;
}

async function ownService(parts: GateParts, caller: Caller): Promise<GateService> {
  const id = serviceIdOf(caller);
  if (id === undefined) throw new Refusal(400, 'Empty or invalid SERVICE_ID');
  const service = await parts.flow.service(caller.session, id);
  if (!service) throw new Refusal(404, `Service ${id} not found`);
  return service;
}

async function showService(parts: GateParts, request: GateRequest, caller: Caller): Promise<Reply> {
  const service = await ownService(parts, caller);
  // Any value asks for more, `false` too.
  const extended = readParams(request).has('extended');
  return json(
    serviceJson(service, node => {
      if (!extended) return identityOf(node.vmInfo);
      return readVm(parts.oned, caller.session, node.deployId) ?? identityOf(node.vmInfo);
    }),
  );
}

async function scaleRole(parts: GateParts, request: GateRequest, caller: Caller, role: string): Promise<Reply> {
  const service = await ownService(parts, caller);
  const wanted = asRecord(parseJson(bodyText(request), 500));
  const cardinality = leadingInteger(String(wanted.cardinality ?? ''));
  const done = await parts.flow.scale(caller.session, service.id, role, cardinality);
  return done ? empty(200) : refuse(400, `Error performing action on service ${service.id} role ${role}`);
}

async function act(parts: GateParts, request: GateRequest, caller: Caller, argument: string): Promise<Reply> {
  const target = await reachable(parts, caller, argument);
  const action = asRecord(asRecord(parseJson(bodyText(request), 400)).action);
  const perform = String(action.perform ?? '');
  if (RESTRICTED_ACTIONS.includes(perform)) return refuse(403, `Action (${perform}) cannot be performed`);
  if (!ACTIONS.includes(perform)) throw internalError();
  if (!parts.oned.call(target.session, 'one.vm.action', perform, target.id).ok) throw internalError();
  return empty(204);
}

function update(parts: GateParts, request: GateRequest, target: Caller, vm: Hash): Reply {
  const params = readParams(request);
  const data = params.get('data') ?? bodyText(request);
  const kind = params.has('type') ? leadingInteger(params.get('type') ?? '') : SET;
  if (kind === SET) return set(parts, target, data);
  if (kind === ERASE) return erase(parts, target, vm, data.trim());
  return refuse(500, 'node_set must be a Nokogiri::XML::NodeSet');
}

function set(parts: GateParts, target: Caller, data: string): Reply {
  const restricted = restrictedName(data);
  if (restricted !== undefined) return refuse(403, `Attribute (${restricted}) cannot be modified`);
  const text = requote(data);
  if (UNSENDABLE.test(text)) throw internalError();
  if (!parts.oned.call(target.session, 'one.vm.update', target.id, text, 1).ok) throw internalError();
  return empty(200);
}

/** The check looks at whole names before `=` only: a blank on either side slips through, as it does at the real server. */
function restrictedName(data: string): string | undefined {
  for (const line of data.split(/\n|\\n/)) {
    const name = line.slice(0, Math.max(0, line.indexOf('=')));
    if (RESTRICTED_ATTRIBUTES.includes(name.toUpperCase())) return name;
  }
  return undefined;
}

function erase(parts: GateParts, target: Caller, vm: Hash, name: string): Reply {
  if (RESTRICTED_ATTRIBUTES.includes(name.toUpperCase())) return refuse(403, `Attribute (${name}) cannot be deleted`);
  const rest = templateWithout(asHash(vm.USER_TEMPLATE), name);
  if (rest === undefined) throw internalError();
  if (!parts.oned.call(target.session, 'one.vm.update', target.id, rest, 0).ok) throw internalError();
  return empty(200);
}

function parseJson(text: string, status: number): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal(status, `unexpected token at '${text}'`);
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** Numbers as the real server reads them: leading digits, else 0. */
function leadingInteger(text: string): number {
  return Number(/^\s*(\d{1,15})/.exec(text)?.[1] ?? 0);
}

function json(value: unknown): Reply {
  return { status: 200, body: JSON.stringify(value) };
}

function empty(status: number): Reply {
  return { status, body: '' };
}

function refuse(status: number, message: string): Reply {
  return { status, body: message };
}
