import type { RunsContext } from '@oneflower/control';
import { openRuns } from '../../command/access.ts';
import { serviceOrOnly } from '../../command/arguments.ts';
import type { CommandResult, CommandSpec } from '../../command/spec.ts';
import { formatMetrics, safe } from '../../output/text.ts';

export const watch: CommandSpec = {
  name: 'watch',
  summary: 'Follow a run until it has ended',
  description:
    'Goes on by itself when the connection is lost, and into the run that goes on when this one is interrupted. Exits with 1 when training has failed or was stopped.',
  arguments: [serviceOrOnly, { name: '[run]', help: 'the run (default: the one under way, or the latest)' }],
  cloud: true,
  examples: ['oneflower run watch', 'oneflower run watch sensors 7'],
  async run(input) {
    const [name, runId] = input.arguments;
    return watchToEnd(await openRuns(input, name), runId);
  },
};

export async function watchToEnd(runs: RunsContext, runId: string | undefined): Promise<CommandResult> {
  const { watchRun } = await import('@oneflower/control');
  const run = await watchRun(runs, runId);
  const metrics = formatMetrics(run.metrics);
  const why = run.details === '' ? '' : `${run.details}\n`;
  const text = `Run ${run.runId} is ${run.status}${metrics === '' ? '' : `: ${metrics}`}.\n${why}`;
  return { document: { run }, text: safe(text), exitCode: run.status === 'completed' ? 0 : 1 };
}
