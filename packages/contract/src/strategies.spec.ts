import { describe, expect, it } from 'vitest';
import { type StrategyName, strategies, strategyProblems, strategyWarnings, unusedByStrategy } from './strategies.ts';
import { defaultSettings, type Settings } from './variables/validate.ts';

function settings(given: Partial<Settings>): Settings {
  return { ...defaultSettings(), ...given };
}

function variablesOf(given: Partial<Settings>): string[] {
  return strategyProblems(settings(given)).map(({ variable }) => variable);
}

describe('what a strategy needs', () => {
  it.each([
    ['Krum', 1, 5],
    ['Krum', 2, 7],
    ['MultiKrum', 2, 7],
    ['Bulyan', 0, 3],
    ['Bulyan', 1, 7],
    ['Bulyan', 2, 11],
  ] as const)('%s with %i malicious nodes wants %i', (FL_STRATEGY, FL_NUM_MALICIOUS, least) => {
    const given = { FL_STRATEGY, FL_NUM_MALICIOUS };
    expect(variablesOf({ ...given, FL_MIN_AVAILABLE_CLIENTS: least })).toEqual([]);
    const variable = FL_NUM_MALICIOUS > 0 ? 'FL_NUM_MALICIOUS' : 'FL_STRATEGY';
    expect(variablesOf({ ...given, FL_MIN_AVAILABLE_CLIENTS: least - 1 })).toEqual([variable]);
  });

  it('lets MultiKrum select the nodes that are left, and no more', () => {
    const given = { FL_STRATEGY: 'MultiKrum', FL_NUM_MALICIOUS: 1, FL_MIN_AVAILABLE_CLIENTS: 5 } as const;
    expect(variablesOf({ ...given, FL_NUM_SELECTED: 4 })).toEqual([]);
    expect(variablesOf({ ...given, FL_NUM_SELECTED: 5 })).toEqual(['FL_NUM_SELECTED']);
  });

  it.each(['FL_MIN_FIT_CLIENTS', 'FL_MIN_EVALUATE_CLIENTS'] as const)('counts the nodes of %s too', minimum => {
    const bulyan = { FL_STRATEGY: 'Bulyan', FL_NUM_MALICIOUS: 1 } as const;
    expect(variablesOf({ ...bulyan, [minimum]: 7 })).toEqual([]);
    expect(strategyProblems(settings({ ...bulyan, [minimum]: 6 }))[0]?.rule).toContain(`but ${minimum} is 6`);
    const multiKrum = { FL_STRATEGY: 'MultiKrum', FL_NUM_MALICIOUS: 1, [minimum]: 6 } as const;
    expect(variablesOf({ ...multiKrum, FL_NUM_SELECTED: 5 })).toEqual([]);
    expect(variablesOf({ ...multiKrum, FL_NUM_SELECTED: 6 })).toEqual(['FL_NUM_SELECTED']);
    expect(strategyWarnings(settings({ FL_STRATEGY: 'FedTrimmedAvg', [minimum]: 5 }))).toEqual([]);
    const [warning] = strategyWarnings(settings({ FL_STRATEGY: 'FedTrimmedAvg', [minimum]: 4 }));
    expect(warning).toContain(`among ${minimum}=4 nodes`);
  });

  it('takes noise with a clipping norm, and only where a mean of all models is taken', () => {
    const noise = { FL_DP_NOISE_MULTIPLIER: 1 };
    expect(variablesOf(noise)).toEqual(['FL_DP_NOISE_MULTIPLIER']);
    const refused = (Object.keys(strategies) as StrategyName[]).filter(
      FL_STRATEGY =>
        variablesOf({ ...noise, FL_DP_CLIPPING_NORM: 1, FL_STRATEGY, FL_MIN_AVAILABLE_CLIENTS: 3 }).length > 0,
    );
    expect(refused.sort()).toEqual(['Bulyan', 'FedMedian', 'FedTrimmedAvg', 'Krum', 'MultiKrum']);
  });

  it('warns of what works, but not as its name promises', () => {
    expect(strategyWarnings(settings({ FL_STRATEGY: 'Krum' }))).toHaveLength(1);
    expect(strategyWarnings(settings({ FL_STRATEGY: 'Krum', FL_MIN_AVAILABLE_CLIENTS: 3 }))).toEqual([]);
    expect(strategyWarnings(settings({ FL_STRATEGY: 'FedTrimmedAvg', FL_MIN_AVAILABLE_CLIENTS: 4 }))).toHaveLength(1);
    expect(strategyWarnings(settings({ FL_STRATEGY: 'FedTrimmedAvg', FL_MIN_AVAILABLE_CLIENTS: 5 }))).toEqual([]);
  });

  it('knows which variables a strategy leaves unused', () => {
    expect(unusedByStrategy('FedAvg')).toContain('FL_PROXIMAL_MU');
    expect(unusedByStrategy('FedProx')).not.toContain('FL_PROXIMAL_MU');
    expect(() => unusedByStrategy('constructor')).toThrow('constructor');
  });
});
