import { openRuns } from '../../command/access.ts';
import { serviceOrOnly } from '../../command/arguments.ts';
import type { CommandSpec } from '../../command/spec.ts';

export const stop: CommandSpec = {
  name: 'stop',
  summary: 'Stop a run',
  arguments: [serviceOrOnly, { name: '[run]', help: 'the run (default: the one under way)' }],
  cloud: true,
  examples: ['oneflower run stop', 'oneflower run stop sensors 7'],
  async run(input) {
    const { stopRun } = await import('@oneflower/control');
    const [name, runId] = input.arguments;
    const runs = await openRuns(input, name);
    const run = await stopRun(runs, runId);
    const canGoOn = run.resumable && run.checkpoint !== null;
    const next = canGoOn ? `Let it go on: oneflower run resume ${runs.service} ${run.runId}\n` : '';
    return { document: { run }, text: `Run ${run.runId} is ${run.status}.\n${next}` };
  },
};
