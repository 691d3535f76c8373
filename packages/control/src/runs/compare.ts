import type { RunHistory } from '@oneflower/contract';

type Setting = string | number | boolean;

/** Runs side by side; the values of every row stand in the order of the runs, null where a run has none. */
export interface Comparison {
  runs: {
    runId: string;
    app: string;
    status: string;
    rounds: number;
    /** Of all rounds together. */
    seconds: number;
    failedReplies: number;
  }[];
  settings: { name: string; values: (Setting | null)[]; differs: boolean }[];
  metrics: { name: string; last: (number | null)[]; rounds: { round: number; values: (number | null)[] }[] }[];
}

/** Puts settings and curves of runs side by side. Settings that differ come first. */
export function compareRuns(histories: readonly RunHistory[]): Comparison {
  const settings = namesIn(histories.map(history => history.settings)).map(name => {
    const values = histories.map(history => history.settings[name] ?? null);
    return { name, values, differs: values.some(value => value !== values[0]) };
  });
  return {
    runs: histories.map(({ run, rounds }) => ({
      runId: run.runId,
      app: run.app,
      status: run.status,
      rounds: rounds.at(-1)?.round ?? 0,
      seconds: rounds.reduce((sum, round) => sum + round.seconds, 0),
      failedReplies: rounds.reduce((sum, round) => sum + round.failed, 0),
    })),
    settings: [...settings.filter(({ differs }) => differs), ...settings.filter(({ differs }) => !differs)],
    metrics: namesIn(histories.flatMap(({ rounds }) => rounds.map(({ metrics }) => metrics))).map(name =>
      curveOf(name, histories),
    ),
  };
}

function curveOf(name: string, histories: readonly RunHistory[]): Comparison['metrics'][number] {
  const curves = histories.map(
    ({ rounds }) =>
      new Map(
        rounds.flatMap(({ round, metrics }) =>
          Object.hasOwn(metrics, name) ? [[round, metrics[name] ?? 0] as const] : [],
        ),
      ),
  );
  const numbers = [...new Set(curves.flatMap(curve => [...curve.keys()]))].sort((a, b) => a - b);
  const rounds = numbers.map(round => ({ round, values: curves.map(curve => curve.get(round) ?? null) }));
  return { name, last: curves.map(curve => [...curve.values()].at(-1) ?? null), rounds };
}

function namesIn(tables: readonly Readonly<Record<string, unknown>>[]): string[] {
  return [...new Set(tables.flatMap(table => Object.keys(table)))].sort();
}
