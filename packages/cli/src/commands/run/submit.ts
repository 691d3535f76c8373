import { resolve } from 'node:path';
import { openRuns } from '../../command/access.ts';
import { isSet, listOption } from '../../command/options.ts';
import type { CommandSpec } from '../../command/spec.ts';
import { watchToEnd } from './watch.ts';

export const submit: CommandSpec = {
  name: 'submit',
  summary: 'Submit a Flower app to a service',
  description: 'Takes any directory that flwr run takes: it has a pyproject.toml.',
  arguments: [
    { name: '<name>', help: 'name of the service' },
    { name: '<directory>', help: 'the app' },
  ],
  options: [
    { flags: '-c, --run-config <KEY=VALUE>', help: "overrides a value of the app's run config", repeated: true },
    { flags: '-w, --wait', help: 'follow the run until it has ended' },
  ],
  cloud: true,
  examples: ['oneflower run submit sensors ./my-app', 'oneflower run submit sensors . -c num-server-rounds=5 --wait'],
  async run(input) {
    const { submitRun } = await import('@oneflower/control');
    const {
      context,
      options,
      arguments: [name = '', folder = ''],
    } = input;
    const runs = await openRuns(input, name);
    const run = await submitRun(runs, resolve(context.folder, folder), listOption(options, 'runConfig'));
    if (isSet(options, 'wait')) return watchToEnd(runs, run.runId);
    return { document: { run }, text: `Run ${run.runId} is ${run.status}.\nNext: oneflower run watch ${name}\n` };
  },
};
