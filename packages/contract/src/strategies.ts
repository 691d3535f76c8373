/** What an aggregation strategy needs before it can do its work. */
export interface Strategy {
  /** One sentence. */
  help: string;
  /** Variables that only this strategy (and others that name them) uses. */
  variables: readonly string[];
  /** Whether it takes the mean of all models: noise on a mean is what a privacy budget can be told for. */
  mean?: true;
  /** Fewest replies with which it aggregates at all, for `f` malicious nodes; absent where any number will do. */
  leastReplies?: { of: (malicious: number) => number; formula: string };
}

const krumReplies = { of: (f: number) => 2 * f + 3, formula: '2f + 3' };

/**
 * Aggregation strategies by the value of FL_STRATEGY. Those of Flower have the names that `flwr.serverapp.strategy`
 * gives them; the least numbers of replies are those of the papers on Krum (Blanchard et al. 2017) and Bulyan
 * (El Mhamdi et al. 2018), which Flower's classes follow.
 */
export const strategies = {
  FedAvg: { help: 'Mean of the models, weighted by examples.', variables: [], mean: true },
  FedProx: {
    help: 'FedAvg whose clients are drawn back to the common model.',
    variables: ['FL_PROXIMAL_MU'],
    mean: true,
  },
  FedAdam: { help: 'Adam on the server over the mean of the updates.', variables: ['FL_SERVER_LR'], mean: true },
  FedMedian: { help: 'Median of each weight.', variables: [] },
  FedTrimmedAvg: { help: 'Mean of each weight without its extremes.', variables: ['FL_TRIM_BETA'] },
  Krum: {
    help: 'The one model that is nearest to the others.',
    variables: ['FL_NUM_MALICIOUS'],
    leastReplies: krumReplies,
  },
  MultiKrum: {
    help: 'Mean of the models that are nearest to the others.',
    variables: ['FL_NUM_MALICIOUS', 'FL_NUM_SELECTED'],
    leastReplies: krumReplies,
  },
  Bulyan: {
    help: 'Trimmed mean over models that Multi-Krum selects.',
    variables: ['FL_NUM_MALICIOUS'],
    leastReplies: { of: f => 4 * f + 3, formula: '4f + 3' },
  },
  FaultTolerantFedAvg: {
    help: 'FedAvg that repeats a round in which too few nodes answered.',
    variables: ['FL_COMPLETION_RATE'],
    mean: true,
  },
} as const satisfies Record<string, Strategy>;

export type StrategyName = keyof typeof strategies;

/** The variables that the rules of strategies are about. */
export interface StrategySettings {
  FL_STRATEGY: string;
  FL_NUM_MALICIOUS: number;
  FL_NUM_SELECTED: number;
  FL_MIN_AVAILABLE_CLIENTS: number;
  FL_MIN_FIT_CLIENTS: number;
  FL_MIN_EVALUATE_CLIENTS: number;
  FL_TRIM_BETA: number;
  FL_DP_CLIPPING_NORM: number | '';
  FL_DP_NOISE_MULTIPLIER: number;
}

/** A setting that breaks a strategy's rule, and the rule, worded to follow "must". */
export interface StrategyProblem {
  variable: 'FL_STRATEGY' | 'FL_NUM_MALICIOUS' | 'FL_NUM_SELECTED' | 'FL_DP_NOISE_MULTIPLIER';
  rule: string;
}

const minima = ['FL_MIN_AVAILABLE_CLIENTS', 'FL_MIN_FIT_CLIENTS', 'FL_MIN_EVALUATE_CLIENTS'] as const;

/** Nodes that must be online before a round begins, and the variable that asks for so many. */
function nodesToBegin(settings: StrategySettings): { n: number; minimum: (typeof minima)[number] } {
  const n = Math.max(...minima.map(name => settings[name]));
  return { n, minimum: minima.find(name => settings[name] === n) ?? 'FL_MIN_AVAILABLE_CLIENTS' };
}

/** What makes the chosen strategy unable to do its work with the number of nodes that a round begins with. */
export function strategyProblems(settings: StrategySettings): StrategyProblem[] {
  const problems: StrategyProblem[] = [];
  const { FL_STRATEGY, FL_NUM_MALICIOUS: f, FL_NUM_SELECTED } = settings;
  const { n, minimum } = nodesToBegin(settings);
  const { leastReplies, mean } = strategyOf(FL_STRATEGY);
  // With no attacker expected Krum picks among two as well: that is a warning.
  if (leastReplies && n < leastReplies.of(f) && (f > 0 || FL_STRATEGY === 'Bulyan')) {
    const variable = f > 0 ? 'FL_NUM_MALICIOUS' : 'FL_STRATEGY';
    const rule = `leave ${FL_STRATEGY} at least ${leastReplies.formula} = ${leastReplies.of(f)} nodes for f = ${f}, but ${minimum} is ${n}`;
    problems.push({ variable, rule });
  }
  if (FL_STRATEGY === 'MultiKrum' && FL_NUM_SELECTED > n - f) {
    const rule = `be at most ${n - f}, the nodes that are left of ${minimum}=${n} without FL_NUM_MALICIOUS=${f}`;
    problems.push({ variable: 'FL_NUM_SELECTED', rule });
  }
  if (settings.FL_DP_NOISE_MULTIPLIER !== 0 && settings.FL_DP_CLIPPING_NORM === '') {
    problems.push({ variable: 'FL_DP_NOISE_MULTIPLIER', rule: 'be 0 unless FL_DP_CLIPPING_NORM is given' });
  }
  if (settings.FL_DP_NOISE_MULTIPLIER !== 0 && !mean) {
    const rule = `be 0 with FL_STRATEGY=${FL_STRATEGY}, which takes no mean of all models`;
    problems.push({ variable: 'FL_DP_NOISE_MULTIPLIER', rule });
  }
  return problems;
}

/** What works, but not as its name promises. */
export function strategyWarnings(settings: StrategySettings): string[] {
  const warnings: string[] = [];
  const { FL_STRATEGY, FL_NUM_MALICIOUS: f, FL_TRIM_BETA } = settings;
  const { n, minimum } = nodesToBegin(settings);
  const { leastReplies } = strategyOf(FL_STRATEGY);
  if (leastReplies && f === 0 && n < leastReplies.of(0)) {
    warnings.push(`FL_STRATEGY=${FL_STRATEGY} chooses little among ${minimum}=${n} nodes: it wants 3.`);
  }
  if (FL_STRATEGY === 'FedTrimmedAvg' && Math.floor(FL_TRIM_BETA * n) === 0) {
    warnings.push(
      `FL_TRIM_BETA=${FL_TRIM_BETA} trims nobody among ${minimum}=${n} nodes: it wants at least ${Math.ceil(1 / FL_TRIM_BETA)}.`,
    );
  }
  return warnings;
}

/** Variables that some strategy uses but not the chosen one. */
export function unusedByStrategy(name: string): string[] {
  const used: readonly string[] = strategyOf(name).variables;
  const all = Object.values(strategies).flatMap(({ variables }): readonly string[] => variables);
  return [...new Set(all)].filter(variable => !used.includes(variable));
}

function strategyOf(name: string): Strategy {
  const found: Strategy | undefined = Object.hasOwn(strategies, name) ? strategies[name as StrategyName] : undefined;
  if (!found) throw new Error(`There is no strategy ${name}.`);
  return found;
}
