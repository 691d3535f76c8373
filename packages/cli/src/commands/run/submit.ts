import { resolve } from 'node:path';
import { openRuns } from '../../command/access.ts';
import { isSet, listOption, textOption } from '../../command/options.ts';
import type { CommandSpec, OptionValues } from '../../command/spec.ts';
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
    {
      flags: '--from <RUN[/ROUND]>',
      help: 'begin with the last checkpoint of a run, or with that of a round; rounds count on from there',
    },
    { flags: '-w, --wait', help: 'follow the run until it has ended' },
  ],
  cloud: true,
  examples: [
    'oneflower run submit sensors ./my-app',
    'oneflower run submit sensors . -c num-server-rounds=5 --wait',
    'oneflower run submit sensors . --from 7/10 -c num-server-rounds=15',
  ],
  async run(input) {
    const { submitRun } = await import('@oneflower/control');
    const {
      context,
      options,
      arguments: [name = '', folder = ''],
    } = input;
    const runs = await openRuns(input, name);
    const run = await submitRun(
      runs,
      resolve(context.folder, folder),
      listOption(options, 'runConfig'),
      await from(options),
    );
    if (isSet(options, 'wait')) return watchToEnd(runs, run.runId);
    const begins = run.continues === null ? '' : ` It goes on from round ${run.checkpoint} of run ${run.continues}.`;
    const next = `Next: oneflower run watch ${name}\n`;
    return { document: { run }, text: `Run ${run.runId} is ${run.status}.${begins}\n${next}` };
  },
};

async function from(options: OptionValues): Promise<string | undefined> {
  const given = textOption(options, 'from');
  if (given === undefined || /^\d{1,20}(\/\d{1,9})?$/.test(given)) return given;
  const { OneFlowerError } = await import('@oneflower/contract');
  throw new OneFlowerError({
    code: 'usage',
    message: `--from must be RUN or RUN/ROUND, not ${JSON.stringify(given.slice(0, 60))}.`,
    remedy: 'oneflower run list and oneflower run checkpoints show what there is.',
    fault: 'user',
  });
}
