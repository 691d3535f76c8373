import { openRuns } from '../../command/access.ts';
import { serviceOrOnly } from '../../command/arguments.ts';
import type { CommandSpec } from '../../command/spec.ts';
import { renderTable } from '../../output/table.ts';
import { formatBytes, formatMetrics, safe } from '../../output/text.ts';

export const list: CommandSpec = {
  name: 'list',
  summary: 'List the models that a service keeps, latest first',
  arguments: [serviceOrOnly],
  cloud: true,
  examples: ['oneflower model list sensors'],
  async run(input) {
    const { listModels } = await import('@oneflower/control');
    const models = await listModels(await openRuns(input, input.arguments[0]));
    const rows = models.map(model => [
      model.runId,
      model.app,
      model.file,
      formatBytes(model.bytes),
      String(model.round),
      model.savedAt,
      formatMetrics(model.metrics),
    ]);
    const head = ['RUN', 'APP', 'FILE', 'SIZE', 'ROUND', 'SAVED', 'METRICS'];
    const text = models.length === 0 ? 'There are no models yet.\n' : `${safe(renderTable(head, rows))}\n`;
    return { document: { models }, text };
  },
};
