import { openRuns } from '../../command/access.ts';
import { serviceOrOnly } from '../../command/arguments.ts';
import type { CommandSpec } from '../../command/spec.ts';
import { renderTable } from '../../output/table.ts';
import { formatBytes, formatMetrics, safe } from '../../output/text.ts';

export const checkpoints: CommandSpec = {
  name: 'checkpoints',
  summary: 'List what a run can be resumed from',
  arguments: [serviceOrOnly, { name: '[run]', help: 'the run (default: the one under way, or the latest)' }],
  cloud: true,
  examples: ['oneflower run checkpoints sensors', 'oneflower run checkpoints sensors 7 --json'],
  async run(input) {
    const { listCheckpoints } = await import('@oneflower/control');
    const [name, named] = input.arguments;
    const { runId, checkpoints: found } = await listCheckpoints(await openRuns(input, name), named);
    const rows = found.map(({ round, bytes, savedAt, best, final, metrics }) => [
      String(round),
      [best ? 'best' : '', final ? 'final' : ''].filter(Boolean).join(', ') || '-',
      formatBytes(bytes),
      savedAt,
      formatMetrics(metrics),
    ]);
    const table = renderTable(['ROUND', 'KIND', 'SIZE', 'SAVED', 'METRICS'], rows);
    const text = found.length === 0 ? `Run ${runId} has no checkpoints.\n` : `${safe(table)}\n`;
    return { document: { runId, checkpoints: found }, text };
  },
};
