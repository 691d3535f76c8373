import { openRuns } from '../../command/access.ts';
import { serviceOrOnly } from '../../command/arguments.ts';
import { isSet } from '../../command/options.ts';
import type { CommandSpec } from '../../command/spec.ts';
import { safe } from '../../output/text.ts';

export const logs: CommandSpec = {
  name: 'logs',
  summary: 'Show what the app of a run has written',
  arguments: [serviceOrOnly, { name: '[run]', help: 'the run (default: the one under way, or the latest)' }],
  options: [{ flags: '-F, --follow', help: 'until the run has ended' }],
  cloud: true,
  examples: ['oneflower run logs', 'oneflower run logs sensors 7 --follow'],
  async run(input) {
    const { readLogs } = await import('@oneflower/control');
    const { options, context } = input;
    const [name, runId] = input.arguments;
    const runs = await openRuns(input, name);
    const pieces: string[] = [];
    for await (const piece of readLogs(runs, { runId, follow: isSet(options, 'follow') })) {
      if (options.json) pieces.push(piece);
      else context.stdout.write(safe(piece));
    }
    return { document: { text: pieces.join('') }, text: '' };
  },
};
