import { openRuns } from '../../command/access.ts';
import { serviceOrOnly } from '../../command/arguments.ts';
import type { CommandSpec } from '../../command/spec.ts';
import { renderTable } from '../../output/table.ts';
import { formatMetrics, safe } from '../../output/text.ts';

export const list: CommandSpec = {
  name: 'list',
  summary: 'List the runs of a service, latest first',
  arguments: [serviceOrOnly],
  cloud: true,
  examples: ['oneflower run list', 'oneflower run list sensors --json'],
  async run(input) {
    const { listRuns } = await import('@oneflower/control');
    const runs = await listRuns(await openRuns(input, input.arguments[0]));
    const rows = runs.map(run => [
      run.runId,
      run.app,
      run.resumes ? 'interrupted' : run.status,
      run.continues ?? '-',
      `${run.round}${run.rounds === null ? '' : `/${run.rounds}`}`,
      run.startedAt ?? '-',
      run.checkpoint === null ? '-' : String(run.checkpoint),
      run.model ? 'yes' : 'no',
      formatMetrics(run.metrics),
    ]);
    const head = ['RUN', 'APP', 'STATUS', 'CONTINUES', 'ROUND', 'STARTED', 'CHECKPOINT', 'MODEL', 'METRICS'];
    const why = runs.filter(run => run.status === 'failed' && run.details !== '');
    const lines = [renderTable(head, rows), ...why.map(run => `Run ${run.runId}: ${run.details}`)];
    const text = runs.length === 0 ? 'There are no runs.\n' : `${safe(lines.join('\n'))}\n`;
    return { document: { runs }, text };
  },
};
