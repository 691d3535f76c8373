import type { Comparison } from '@oneflower/control';
import { openRuns } from '../../command/access.ts';
import { isSet } from '../../command/options.ts';
import type { CommandSpec } from '../../command/spec.ts';
import { renderTable } from '../../output/table.ts';
import { counted, formatDuration, formatMetric, safe } from '../../output/text.ts';

/** Rounds of a curve that are shown unless all are wanted. */
const mostRounds = 20;

export const compare: CommandSpec = {
  name: 'compare',
  summary: 'Show settings and curves of runs side by side',
  description: 'A run that continues another one is shown from its first round on.',
  arguments: [
    { name: '<name>', help: 'name of the service' },
    { name: '<runs...>', help: 'the runs' },
  ],
  options: [{ flags: '-a, --all', help: 'also settings that are the same in all, and every round' }],
  cloud: true,
  examples: ['oneflower run compare sensors 7 8', 'oneflower run compare sensors 7 8 9 --json'],
  async run(input) {
    const { compareRuns, readHistories } = await import('@oneflower/control');
    const [name, ...given] = input.arguments;
    const histories = await readHistories(
      await openRuns(input, name),
      given.filter(run => run !== undefined),
    );
    const comparison = compareRuns(histories);
    return { document: { ...comparison }, text: safe(render(comparison, isSet(input.options, 'all'))) };
  },
};

function render(comparison: Comparison, all: boolean): string {
  const head = comparison.runs.map(({ runId }) => `RUN ${runId}`);
  const sections = [
    renderTable(['', ...head], summary(comparison)),
    settingsOf(comparison, head, all),
    ...comparison.metrics.map(metric => curve(metric, head, all)),
  ];
  return `${sections.filter(section => section !== '').join('\n\n')}\n`;
}

function summary({ runs, metrics }: Comparison): string[][] {
  return [
    ['app', ...runs.map(({ app }) => app)],
    ['status', ...runs.map(({ status }) => status)],
    ['rounds', ...runs.map(({ rounds }) => String(rounds))],
    ['time in rounds', ...runs.map(({ seconds }) => formatDuration(seconds * 1000))],
    ['replies that failed', ...runs.map(({ failedReplies }) => String(failedReplies))],
    ...metrics.map(({ name, last }) => [name, ...last.map(number)]),
  ];
}

function settingsOf({ settings }: Comparison, head: string[], all: boolean): string {
  const shown = settings.filter(({ differs }) => all || differs);
  const rows = shown.map(({ name, values }) => [name, ...values.map(value => (value === null ? '-' : String(value)))]);
  const table = shown.length === 0 ? '' : renderTable(['SETTING', ...head], rows);
  const same = settings.length - shown.length;
  const rest = same === 0 ? '' : `${counted(same, 'setting')} the same in all (--all shows them).`;
  return [table, rest].filter(Boolean).join('\n');
}

function curve({ name, rounds }: Comparison['metrics'][number], head: string[], all: boolean): string {
  const step = all ? 1 : Math.ceil(rounds.length / mostRounds);
  const shown = rounds.filter((_, index) => index % step === 0 || index === rounds.length - 1);
  const rows = shown.map(({ round, values }) => [String(round), ...values.map(number)]);
  return `${name}\n${renderTable(['ROUND', ...head], rows)}`;
}

function number(value: number | null): string {
  return value === null ? '-' : formatMetric(value);
}
