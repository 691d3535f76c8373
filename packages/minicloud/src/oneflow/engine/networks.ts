import { arrayAt, isObject, type JsonObject, textAt } from '../json.ts';
import { Refusal } from '../refusal.ts';
import { type EngineContext, seconds } from './context.ts';
import type { LiveService } from './live.ts';

/**
 * Makes the networks that a service does not have yet: from a network template, or reserved from another network.
 *
 * @throws Refusal with oned's sentence; the service is then left behind in FAILED_DEPLOYING, as on the real server
 */
export function makeNetworks(context: EngineContext, service: LiveService): void {
  const session = context.sessionOf(service);
  for (const value of arrayAt(service.body.json, 'networks_values').filter(isObject)) {
    for (const [name, network] of Object.entries(value)) {
      if (!isObject(network) || network.id !== undefined) continue;
      try {
        makeNetwork(context, session, `${name}-${service.id}`, network);
      } catch (error) {
        if (error instanceof Refusal) leaveFailed(context, service, error);
        throw error;
      }
    }
  }
}

function makeNetwork(context: EngineContext, session: string, name: string, network: JsonObject): void {
  const template = textAt(network, 'template_id');
  const extra = textAt(network, 'extra') ?? '';
  if (template !== undefined) {
    network.id = Number(context.cloud.call(session, 'one.vntemplate.instantiate', Number(template), name, extra));
    return;
  }
  const from = textAt(network, 'reserve_from');
  if (from === undefined) return;
  network.extra = `${extra}${extra === '' ? '' : '\n'}NAME="${name}"\n`;
  network.id = Number(context.cloud.call(session, 'one.vn.reserve', Number(from), network.extra));
}

function leaveFailed(context: EngineContext, service: LiveService, error: Refusal): void {
  const now = seconds(context.clock);
  service.body.log('E', error.message, now);
  service.body.enter('FAILED_DEPLOYING', now);
  context.save(service);
}
