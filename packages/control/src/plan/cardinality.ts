import { OneFlowerError, type Settings } from '@oneflower/contract';

/** How many SuperNodes a service has, and between which numbers it may be scaled. */
export interface Cardinality {
  nodes: number;
  min: number;
  max: number;
}

export interface CardinalityRequest {
  nodes?: number | undefined;
  min?: number | undefined;
  max?: number | undefined;
}

const defaultNodes = 2;
const defaultMax = 10;
/** OneFlow itself knows no limit; this one catches slips of the fingers. */
export const mostNodes = 10_000;

const minima = ['FL_MIN_FIT_CLIENTS', 'FL_MIN_EVALUATE_CLIENTS', 'FL_MIN_AVAILABLE_CLIENTS'] as const;

/**
 * Settles the number of SuperNodes. With a use case, the lower limit is never below any FL_MIN_ variable, because
 * Flower waits without end for nodes that scaling has taken away.
 * @throws OneFlowerError `cardinality-invalid`.
 */
export function settleCardinality(request: CardinalityRequest, settings: Settings): Cardinality {
  for (const [option, value] of Object.entries({ nodes: request.nodes, min: request.min, max: request.max })) {
    if (value !== undefined && !(Number.isInteger(value) && value >= 1 && value <= mostNodes)) {
      throw refusal(`The number of SuperNodes (${option}) must be a whole number from 1 to ${mostNodes}.`);
    }
  }
  const needed = neededNodes(settings);
  const min = request.min ?? needed.count;
  const nodes = request.nodes ?? Math.max(defaultNodes, min);
  const max = request.max ?? Math.max(defaultMax, nodes);
  if (nodes < needed.count) {
    throw refusal(
      `${needed.variable}=${needed.count} needs at least ${needed.count} SuperNodes, but ${nodes} ${nodes === 1 ? 'is' : 'are'} asked for.`,
      `Ask for --nodes ${needed.count}, or lower it with --set ${needed.variable}=${nodes}.`,
    );
  }
  if (min < needed.count) {
    throw refusal(
      `${needed.variable}=${needed.count} needs at least ${needed.count} SuperNodes, but scaling down to ${min} would be allowed.`,
      `Ask for --min-nodes ${needed.count}, or lower it with --set ${needed.variable}=${min}.`,
    );
  }
  if (nodes < min || nodes > max) {
    throw refusal(`${nodes} SuperNodes are not within the limits ${min} to ${max}.`, 'Change --nodes or the limits.');
  }
  return { nodes, min, max };
}

function neededNodes(settings: Settings): { variable: string; count: number } {
  let needed = { variable: 'FL_MIN_AVAILABLE_CLIENTS', count: 1 };
  if (settings.FL_USE_CASE === 'none') return needed;
  for (const variable of minima) {
    if (settings[variable] > needed.count) needed = { variable, count: settings[variable] };
  }
  return needed;
}

function refusal(message: string, remedy?: string): OneFlowerError {
  return new OneFlowerError({
    code: 'cardinality-invalid',
    message,
    ...(remedy === undefined ? {} : { remedy }),
    fault: 'user',
  });
}
