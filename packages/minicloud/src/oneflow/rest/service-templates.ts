import { documentTypes } from '../cloud.ts';
import { arrayAt, deepMerge, isObject, type JsonObject, numberAt, textAt } from '../json.ts';
import { newServiceBody } from '../schema/instantiate.ts';
import { checkServiceTemplate, parseJson } from '../schema/service-template.ts';
import type { OwnedDocument } from '../wire.ts';
import { type Action, documentAction, readAction } from './actions.ts';
import type { Exchange } from './exchange.ts';
import { documentAnswer, doneAnswer, poolAnswer, type RestAnswer, textAnswer } from './http.ts';

export function listTemplates({ cloud, caller }: Exchange): RestAnswer {
  return poolAnswer(cloud.documents(caller.session, documentTypes.template));
}

export function showTemplate(exchange: Exchange): RestAnswer {
  return documentAnswer(200, templateOf(exchange));
}

export function createTemplate({ cloud, caller, body, now }: Exchange): RestAnswer {
  const template = checkServiceTemplate(parseJson(body));
  template.registration_time = now;
  const id = cloud.allocate(caller.session, documentTypes.template, template);
  return documentAnswer(201, cloud.document(caller.session, documentTypes.template, id));
}

export function replaceTemplate(exchange: Exchange): RestAnswer {
  const document = templateOf(exchange);
  const given = parseJson(exchange.body);
  writeTemplate(exchange, document, isObject(given) ? given : {});
  const name = isObject(given) ? textAt(given, 'name') : undefined;
  if (name !== undefined && name !== document.NAME) {
    exchange.cloud.call(exchange.caller.session, 'one.document.rename', exchange.id, name);
  }
  return documentAnswer(200, templateOf(exchange));
}

export function deleteTemplate(exchange: Exchange): RestAnswer {
  const { cloud, caller, id, body } = exchange;
  const document = templateOf(exchange);
  const given = body.trim() === '' ? {} : parseJson(body);
  const type = isObject(given) ? given.delete_type : undefined;
  cloud.call(caller.session, 'one.document.delete', id);
  if (type === 'templates' || type === 'all') {
    for (const vmTemplate of vmTemplatesOf(document.TEMPLATE.BODY)) {
      cloud.call(caller.session, 'one.template.delete', vmTemplate, type === 'all');
    }
  }
  return doneAnswer();
}

/** An action nobody knows is answered with 200 and nothing, as recorded. */
export function actOnTemplate(exchange: Exchange): RestAnswer {
  const action = readAction(exchange.body);
  const document = templateOf(exchange);
  switch (action.perform) {
    case 'instantiate':
      return instantiate(exchange, document, action);
    case 'clone':
      return clone(exchange, document, action);
    case 'update':
      update(exchange, document, action);
      return doneAnswer();
    default: {
      const { cloud, caller, id } = exchange;
      return documentAction(cloud, caller.session, id, action) ?? textAnswer(200, '');
    }
  }
}

function instantiate(exchange: Exchange, template: OwnedDocument, { params }: Action): RestAnswer {
  const { cloud, engine, caller, now } = exchange;
  const merge = isObject(params.merge_template) ? params.merge_template : {};
  const body = newServiceBody(template.TEMPLATE.BODY, merge, now);
  const id = cloud.allocate(caller.session, documentTypes.service, body);
  const answer = documentAnswer(201, cloud.document(caller.session, documentTypes.service, id));
  engine.start(cloud.document(caller.session, documentTypes.service, id));
  return answer;
}

function clone(exchange: Exchange, template: OwnedDocument, { params }: Action): RestAnswer {
  const { cloud, caller, id, now } = exchange;
  const name = textAt(params, 'name') ?? '';
  const copy = Number(cloud.call(caller.session, 'one.document.clone', id, name));
  const body: JsonObject = { ...template.TEMPLATE.BODY };
  if (params.recursive === 'templates' || params.recursive === 'all') {
    body.roles = cloneVmTemplates(exchange, template.TEMPLATE.BODY, name, params.recursive === 'all');
  }
  body.registration_time = now;
  cloud.update(caller.session, copy, body);
  return documentAnswer(201, cloud.document(caller.session, documentTypes.template, copy));
}

function cloneVmTemplates({ cloud, caller }: Exchange, body: JsonObject, name: string, images: boolean): JsonObject[] {
  const copies = new Map<number, number>();
  for (const vmTemplate of vmTemplatesOf(body)) {
    const copy = cloud.call(caller.session, 'one.template.clone', vmTemplate, `${name}-${vmTemplate}`, images);
    copies.set(vmTemplate, Number(copy));
  }
  const roles = arrayAt(body, 'roles').filter(isObject);
  return roles.map(role => ({ ...role, template_id: copies.get(numberAt(role, 'template_id') ?? -1) ?? null }));
}

function update(exchange: Exchange, document: OwnedDocument, { params }: Action): void {
  const given = parseJson(textAt(params, 'template_json') ?? '');
  const change = isObject(given) ? given : {};
  const appends = params.append === true;
  writeTemplate(exchange, document, appends ? deepMerge(document.TEMPLATE.BODY, change) : change);
}

/** The time of registration stays whatever is given. */
function writeTemplate({ cloud, caller, id }: Exchange, document: OwnedDocument, given: JsonObject): void {
  const registered = document.TEMPLATE.BODY.registration_time;
  const body = registered === undefined ? given : { ...given, registration_time: registered };
  cloud.update(caller.session, id, checkServiceTemplate(body));
}

function templateOf({ cloud, caller, id }: Exchange): OwnedDocument {
  return cloud.document(caller.session, documentTypes.template, id);
}

function vmTemplatesOf(body: JsonObject): Set<number> {
  const ids = arrayAt(body, 'roles')
    .filter(isObject)
    .map(role => numberAt(role, 'template_id'));
  return new Set(ids.filter(id => id !== undefined));
}
