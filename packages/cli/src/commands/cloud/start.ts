import type { DaemonConfig } from '@oneflower/minicloud';
import { textOption } from '../../command/options.ts';
import type { CommandInput, CommandSpec } from '../../command/spec.ts';
import { agentCommand } from '../../runtime/agent-command.ts';
import { embeddedFolder } from './folder.ts';
import { reportDaemon } from './progress.ts';

export const start: CommandSpec = {
  name: 'start',
  summary: 'Start the embedded cloud in the background',
  description:
    'It speaks the protocols of OpenNebula on loopback. With the process driver each VM is a folder, an address and ' +
    'processes; with the dummy driver VMs only change their state.',
  options: [{ flags: '--driver <driver>', help: 'how VMs run (default: process)', choices: ['process', 'dummy'] }],
  examples: ['oneflower cloud start'],
  async run(input) {
    const { embeddedCloud, homeFolder, saveCloud } = await import('@oneflower/control');
    const { daemonStatus, startDaemon } = await import('@oneflower/minicloud');
    const { context, reporter } = input;
    const home = homeFolder(context.environment);
    const directory = embeddedFolder(home);
    const status = await daemonStatus({ directory });
    const running = status.state === 'running';
    const { pid, endpoints } = running
      ? status
      : await startDaemon({
          directory,
          ...(await daemonConfig(input)),
          onProgress: progress => reportDaemon(reporter, progress),
        });
    await saveCloud(home, embeddedCloud, endpoints);
    const first = running ? 'The embedded cloud runs already.' : 'The embedded cloud runs.';
    return {
      document: { cloud: { state: 'running', started: !running, pid, endpoints } },
      text: `${first}\nNext: oneflower deploy\n`,
    };
  },
};

async function daemonConfig({ context, reporter, options }: CommandInput): Promise<DaemonConfig> {
  if (textOption(options, 'driver') === 'dummy') return { driver: 'dummy' };
  const software = await context.ensureSoftware(message => {
    reporter.line(message);
    reporter.status(message);
  });
  return { driver: 'process', agentCommand: agentCommand(software) };
}
