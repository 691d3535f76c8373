import type { CommandSpec } from '../../command/spec.ts';
import { embeddedFolder } from './folder.ts';
import { reportDaemon } from './progress.ts';

export const stop: CommandSpec = {
  name: 'stop',
  summary: 'Stop the embedded cloud; its state is kept and its VMs come back with the next start',
  examples: ['oneflower cloud stop'],
  async run({ context, reporter }) {
    const { homeFolder } = await import('@oneflower/control');
    const { daemonStatus, stopDaemon } = await import('@oneflower/minicloud');
    const directory = embeddedFolder(homeFolder(context.environment));
    const before = await daemonStatus({ directory });
    await stopDaemon({ directory, onProgress: progress => reportDaemon(reporter, progress) });
    const wasRunning = before.state !== 'stopped';
    return {
      document: { cloud: { state: 'stopped', stopped: wasRunning } },
      text: wasRunning ? 'The embedded cloud is stopped.\n' : 'The embedded cloud was not running.\n',
    };
  },
};
