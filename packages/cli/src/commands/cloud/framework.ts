import type { Framework } from '@oneflower/contract';
import type { CommandInput } from '../../command/spec.ts';
import { softwareOf } from '../../runtime/agent-command.ts';
import { embeddedFolder } from './folder.ts';

/** Makes the Python environment of a framework for the guests of this machine's embedded cloud, unless they are none. */
export async function prepareFramework({ context, reporter }: CommandInput, framework: Framework): Promise<void> {
  const { bakedFramework } = await import('@oneflower/contract');
  if (framework === bakedFramework) return;
  const { homeFolder } = await import('@oneflower/control');
  const { agentCommandOf } = await import('@oneflower/minicloud');
  const command = agentCommandOf({ directory: embeddedFolder(homeFolder(context.environment)) });
  const software = command && softwareOf({ args: [...command.args] });
  if (software === undefined) return;
  await context.ensureFramework(framework, software, message => {
    reporter.line(message);
    reporter.status(message);
  });
  reporter.end();
}

/** Whether an endpoint is that of the embedded cloud that runs on this machine, however the person has named it. */
export async function isEmbeddedHere({ context }: CommandInput, endpoint: string): Promise<boolean> {
  const { homeFolder } = await import('@oneflower/control');
  const { daemonStatus } = await import('@oneflower/minicloud');
  const status = await daemonStatus({ directory: embeddedFolder(homeFolder(context.environment)) });
  return status.state === 'running' && status.endpoints.xmlrpc === endpoint;
}
