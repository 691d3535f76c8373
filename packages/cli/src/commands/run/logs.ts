import { openRuns } from '../../command/access.ts';
import { isSet, textOption } from '../../command/options.ts';
import type { CommandSpec } from '../../command/spec.ts';
import { safe } from '../../output/text.ts';

export const logs: CommandSpec = {
  name: 'logs',
  summary: 'Show what the app of a run has written',
  arguments: [{ name: '[name]', help: 'name of the service (default: the only one)' }],
  options: [
    { flags: '-r, --run <id>', help: 'the run (default: the one under way, or the latest)' },
    { flags: '-F, --follow', help: 'until the run has ended' },
  ],
  cloud: true,
  examples: ['oneflower run logs', 'oneflower run logs sensors --run 7 --follow'],
  async run(input) {
    const { readLogs } = await import('@oneflower/control');
    const { options, context } = input;
    const runs = await openRuns(input, input.arguments[0]);
    const pieces: string[] = [];
    for await (const piece of readLogs(runs, { runId: textOption(options, 'run'), follow: isSet(options, 'follow') })) {
      if (options.json) pieces.push(piece);
      else context.stdout.write(safe(piece));
    }
    return { document: { text: pieces.join('') }, text: '' };
  },
};
