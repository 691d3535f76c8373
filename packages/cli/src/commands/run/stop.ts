import { openRuns } from '../../command/access.ts';
import { textOption } from '../../command/options.ts';
import type { CommandSpec } from '../../command/spec.ts';

export const stop: CommandSpec = {
  name: 'stop',
  summary: 'Stop a run',
  arguments: [{ name: '[name]', help: 'name of the service (default: the only one)' }],
  options: [{ flags: '-r, --run <id>', help: 'the run (default: the one under way)' }],
  cloud: true,
  examples: ['oneflower run stop', 'oneflower run stop sensors --run 7'],
  async run(input) {
    const { stopRun } = await import('@oneflower/control');
    const runs = await openRuns(input, input.arguments[0]);
    const run = await stopRun(runs, textOption(input.options, 'run'));
    const canGoOn = run.resumable && run.checkpoint !== null;
    const next = canGoOn ? `Let it go on: oneflower run resume ${runs.service} ${run.runId}\n` : '';
    return { document: { run }, text: `Run ${run.runId} is ${run.status}.\n${next}` };
  },
};
