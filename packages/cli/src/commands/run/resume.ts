import { openRuns } from '../../command/access.ts';
import { serviceOrOnly } from '../../command/arguments.ts';
import { isSet, textOption, wholeNumber } from '../../command/options.ts';
import type { CommandSpec } from '../../command/spec.ts';
import { watchToEnd } from './watch.ts';

export const resume: CommandSpec = {
  name: 'resume',
  summary: 'Let a run that was stopped or has failed go on from a checkpoint',
  description: 'Runs that are interrupted by a fault go on by themselves; this is for the others.',
  arguments: [serviceOrOnly, { name: '[run]', help: 'the run (default: the latest)' }],
  options: [
    { flags: '--checkpoint <round>', help: 'the round to go on from (default: the last one with a checkpoint)' },
    { flags: '-w, --wait', help: 'follow the run until it has ended' },
  ],
  cloud: true,
  examples: ['oneflower run resume sensors', 'oneflower run resume sensors 7 --checkpoint 6 --wait'],
  async run(input) {
    const { resumeRun } = await import('@oneflower/control');
    const { options } = input;
    const [name, runId] = input.arguments;
    const runs = await openRuns(input, name);
    const round = await wholeNumber(textOption(options, 'checkpoint'), '--checkpoint');
    const run = await resumeRun(runs, { runId, round });
    if (isSet(options, 'wait')) return watchToEnd(runs, run.runId);
    const from = run.checkpoint === null ? 'starts over' : `goes on from round ${run.checkpoint}`;
    const next = `Next: oneflower run watch ${runs.service}\n`;
    return { document: { run }, text: `Run ${run.continues} ${from} as run ${run.runId}.\n${next}` };
  },
};
