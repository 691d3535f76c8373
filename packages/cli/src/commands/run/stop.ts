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
    const run = await stopRun(await openRuns(input, input.arguments[0]), textOption(input.options, 'run'));
    return { document: { run }, text: `Run ${run.runId} is ${run.status}.\n` };
  },
};
