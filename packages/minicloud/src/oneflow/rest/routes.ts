import type { Exchange } from './exchange.ts';
import type { RestAnswer } from './http.ts';
import * as templates from './service-templates.ts';
import * as services from './services.ts';

/** A path that OneFlow serves. `pattern` may name `id` and `role`. */
interface Route {
  method: string;
  pattern: RegExp;
  handle(exchange: Exchange): RestAnswer;
}

export const routes: readonly Route[] = [
  { method: 'GET', pattern: /^\/service_template$/, handle: templates.listTemplates },
  { method: 'POST', pattern: /^\/service_template$/, handle: templates.createTemplate },
  { method: 'GET', pattern: /^\/service_template\/(?<id>[^/]+)$/, handle: templates.showTemplate },
  { method: 'PUT', pattern: /^\/service_template\/(?<id>[^/]+)$/, handle: templates.replaceTemplate },
  { method: 'DELETE', pattern: /^\/service_template\/(?<id>[^/]+)$/, handle: templates.deleteTemplate },
  { method: 'POST', pattern: /^\/service_template\/(?<id>[^/]+)\/action$/, handle: templates.actOnTemplate },
  { method: 'GET', pattern: /^\/service$/, handle: services.listServices },
  { method: 'GET', pattern: /^\/service\/(?<id>[^/]+)$/, handle: services.showService },
  { method: 'PUT', pattern: /^\/service\/(?<id>[^/]+)$/, handle: services.updateService },
  { method: 'DELETE', pattern: /^\/service\/(?<id>[^/]+)$/, handle: services.deleteService },
  { method: 'POST', pattern: /^\/service\/(?<id>[^/]+)\/action$/, handle: services.actOnService },
  { method: 'POST', pattern: /^\/service\/(?<id>[^/]+)\/scale$/, handle: services.scaleService },
  { method: 'POST', pattern: /^\/service\/(?<id>[^/]+)\/role_action$/, handle: services.changeRoles },
  { method: 'POST', pattern: /^\/service\/(?<id>[^/]+)\/role\/(?<role>[^/]+)\/action$/, handle: services.actOnRole },
  { method: 'POST', pattern: /^\/service_pool\/purge_done$/, handle: services.purgeDone },
];
