import type { Framework } from '@oneflower/contract';
import type { DaemonConfig } from '@oneflower/minicloud';
import { listOption, textOption } from '../../command/options.ts';
import type { CommandInput, CommandSpec } from '../../command/spec.ts';
import { agentCommand } from '../../runtime/agent-command.ts';
import { embeddedFolder } from './folder.ts';
import { prepareFramework } from './framework.ts';
import { reportDaemon } from './progress.ts';

export const start: CommandSpec = {
  name: 'start',
  summary: 'Start the embedded cloud in the background',
  description:
    'It speaks the protocols of OpenNebula on loopback. With the process driver each VM is a folder, an address and ' +
    'processes; with the dummy driver VMs only change their state.',
  options: [
    { flags: '--driver <driver>', help: 'how VMs run (default: process)', choices: ['process', 'dummy'] },
    {
      flags: '--framework <framework>',
      help: 'install this framework now; else the first deployment that uses it does',
      choices: ['pytorch', 'tensorflow'] satisfies Framework[],
      repeated: true,
    },
  ],
  examples: ['oneflower cloud start', 'oneflower cloud start --framework pytorch'],
  async run(input) {
    const { embeddedCloud, homeFolder, saveCloud } = await import('@oneflower/control');
    const { daemonStatus, startDaemon } = await import('@oneflower/minicloud');
    const { context, reporter, options } = input;
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
    for (const framework of listOption(options, 'framework')) await prepareFramework(input, framework as Framework);
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
