import { arrayAt, isObject, type JsonObject, numberAt, textAt } from '../json.ts';
import { Refusal } from '../refusal.ts';
import { readXml } from '../wire.ts';
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
        context.save(service);
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

/** Network states that end the waiting. */
const networkStates = { ready: '1', error: '5' } as const;

/** How the networks are that were made for the service: drivers take their time. */
export function stateOfNetworks(context: EngineContext, service: LiveService): 'ready' | 'waiting' | 'failed' {
  const session = context.sessionOf(service);
  for (const id of madeNetworks(service)) {
    const answer = context.cloud.attempt(session, 'one.vn.info', id, false);
    const state = 'value' in answer ? readXml(String(answer.value)).STATE : networkStates.error;
    if (state === networkStates.error) return 'failed';
    if (state !== networkStates.ready) return 'waiting';
  }
  return 'ready';
}

/** Ids of the networks that exist for this service alone. */
export function madeNetworks(service: LiveService): number[] {
  return arrayAt(service.body.json, 'networks_values')
    .filter(isObject)
    .flatMap(value => Object.values(value).filter(isObject))
    .filter(network => network.template_id !== undefined || network.reserve_from !== undefined)
    .map(network => numberAt(network, 'id'))
    .filter(id => id !== undefined);
}
