import { documentTypes } from '../cloud.ts';
import type { LiveService } from '../engine/live.ts';
import { deepMerge, isObject, type JsonObject, textAt } from '../json.ts';
import { Refusal } from '../refusal.ts';
import { parseJson } from '../schema/service-template.ts';
import type { OwnedDocument } from '../wire.ts';
import { documentAction, parseOrCrash, readAction } from './actions.ts';
import type { Exchange } from './exchange.ts';
import { documentAnswer, doneAnswer, poolAnswer, type RestAnswer } from './http.ts';
import { demandManage } from './login.ts';
import { replaceService } from './update.ts';
import { isVmAction } from './vm-actions.ts';

export function listServices({ cloud, engine, caller }: Exchange): RestAnswer {
  engine.saveAll();
  return poolAnswer(cloud.documents(caller.session, documentTypes.service));
}

export function showService(exchange: Exchange): RestAnswer {
  exchange.engine.service(exchange.id);
  return documentAnswer(200, documentOf(exchange));
}

export function deleteService(exchange: Exchange): RestAnswer {
  exchange.engine.undeploy(managed(exchange));
  return doneAnswer();
}

/** PUT: the whole body, or with `append` a piece of it as JSON text in `template`. */
export function updateService(exchange: Exchange): RestAnswer {
  const given = parseJson(exchange.body);
  const service = managed(exchange);
  const change = isObject(given) ? given : {};
  if (change.append === true) {
    const piece = parseJson(textAt(change, 'template') ?? '');
    replaceService(service.body, deepMerge(service.body.json, isObject(piece) ? piece : {}));
  } else replaceService(service.body, change);
  exchange.engine.save(service);
  return doneAnswer();
}

/** All three keys are needed. */
export function scaleService(exchange: Exchange): RestAnswer {
  const given = parseOrCrash(exchange.body);
  const service = managed(exchange);
  const name = textAt(given, 'role_name') ?? '';
  const role = service.body.role(name);
  if (!role) throw new Refusal(500, `Role ${name} not found`);
  const cardinality = leadingInteger(given.cardinality);
  exchange.engine.scale(service, role, cardinality, readForce(cardinality, given.force));
  return doneAnswer();
}

/** The real server writes JSON with what it was given and reads that: without `force` it cannot read it. */
function readForce(cardinality: number, force: JsonObject[string] | undefined): boolean {
  const written = typeof force === 'string' ? force : JSON.stringify(force ?? '').replace(/^""$/, '');
  const { force: read } = parseOrCrash(`{ "cardinality" : ${cardinality},\n  "force" : ${written} }`);
  return read !== false && read !== null;
}

export function actOnService(exchange: Exchange): RestAnswer {
  const { cloud, engine, caller, id } = exchange;
  const action = readAction(exchange.body);
  const service = managed(exchange);
  if (action.perform === 'recover') engine.recover(service, action.params.delete === true);
  else if (action.perform === 'release') engine.release(service);
  else if (isVmAction(action.perform)) engine.actOnVms(service, service.body.roles, action.perform, action.params);
  else {
    const answer = documentAction(cloud, caller.session, id, action);
    if (!answer) throw new Refusal(500, `Action ${action.perform} not supported`);
    engine.ownerChanged(service, caller.session);
  }
  return doneAnswer();
}

export function actOnRole(exchange: Exchange): RestAnswer {
  const { perform, params } = readAction(exchange.body);
  const service = managed(exchange);
  const role = service.body.role(exchange.role);
  if (!role) throw new Refusal(500, `Role '${exchange.role}' not found`);
  if (!isVmAction(perform)) throw new Refusal(500, `Action ${perform} not supported`);
  exchange.engine.actOnVms(service, [role], perform, params);
  return doneAnswer();
}

export function changeRoles(exchange: Exchange): RestAnswer {
  const { perform, params } = readAction(exchange.body);
  const service = managed(exchange);
  if (perform === 'add_role') exchange.engine.addRole(service, roleOf(params));
  else if (perform === 'remove_role') exchange.engine.removeRole(service, textAt(params, 'role') ?? '');
  else throw new Refusal(500, `Action ${perform} not supported`);
  return doneAnswer();
}

/** Services that are DONE are gone by themselves, so there is nothing left to purge. */
export function purgeDone(): RestAnswer {
  return doneAnswer();
}

function roleOf(params: JsonObject): JsonObject {
  return isObject(params.role) ? params.role : {};
}

function managed(exchange: Exchange): LiveService {
  const document = documentOf(exchange);
  demandManage(exchange.caller, document);
  const service = exchange.engine.service(exchange.id);
  if (service) return service;
  throw new Refusal(404, `[one.document.info] Error getting document [${exchange.id}].`);
}

function documentOf({ cloud, caller, id }: Exchange): OwnedDocument {
  return cloud.document(caller.session, documentTypes.service, id);
}

function leadingInteger(value: JsonObject[string] | undefined): number {
  if (typeof value === 'number') return Math.trunc(value);
  return typeof value === 'string' ? Number.parseInt(value, 10) || 0 : 0;
}
