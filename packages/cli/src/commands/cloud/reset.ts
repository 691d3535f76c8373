import type { CommandSpec } from '../../command/spec.ts';
import { embeddedFolder } from './folder.ts';
import { reportDaemon } from './progress.ts';

export const reset: CommandSpec = {
  name: 'reset',
  summary: 'Stop the embedded cloud and remove its state, its VMs and their models',
  examples: ['oneflower cloud reset'],
  async run({ context, reporter }) {
    const { embeddedCloud, forgetCloud, homeFolder, removeRecords } = await import('@oneflower/control');
    const { resetCloud } = await import('@oneflower/minicloud');
    const home = homeFolder(context.environment);
    await resetCloud({ directory: embeddedFolder(home), onProgress: progress => reportDaemon(reporter, progress) });
    await forgetCloud(home, embeddedCloud);
    await removeRecords({ home, cloudKey: embeddedCloud });
    return { document: { cloud: { state: 'absent' } }, text: 'The embedded cloud is gone.\n' };
  },
};
