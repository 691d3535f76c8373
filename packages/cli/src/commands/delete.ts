import { openCloud } from '../command/access.ts';
import type { CommandSpec } from '../command/spec.ts';
import { reportProgress } from '../output/report-progress.ts';
import { counted } from '../output/text.ts';

export const remove: CommandSpec = {
  name: 'delete',
  summary: 'Remove a service and its VMs, SuperNodes first, and wait until they are gone',
  description: 'What is on the disks of its VMs goes with it: download models before.',
  arguments: [{ name: '<name>', help: 'name or number of the service' }],
  cloud: true,
  examples: ['oneflower delete sensors'],
  async run(input) {
    const { deleteService, homeFolder } = await import('@oneflower/control');
    const {
      context,
      reporter,
      arguments: [name = ''],
    } = input;
    const result = await deleteService(
      {
        cloud: await openCloud(input),
        home: homeFolder(context.environment),
        clock: context.clock,
        signal: context.signal,
        notify: progress => reportProgress(reporter, progress),
      },
      name,
    );
    return {
      document: { service: result },
      text: `${result.name} (${result.id}) and its ${counted(result.vms, 'VM')} are gone.\n`,
    };
  },
};
