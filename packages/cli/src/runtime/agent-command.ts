import type { Software } from './software.ts';

/** How a guest's agent is started; the embedded cloud adds what each VM has of its own. */
export interface AgentCommand {
  file: string;
  args: string[];
}

/**
 * V8 flags of the agent, which waits most of the time: a young generation of 2 MiB instead of 32 and code made for
 * size keep it small beside Flower.
 */
const memoryFlags = ['--max-semi-space-size=1', '--optimize-for-size'];

/** The command that runs the agent of `software` in a guest. */
export function agentCommand({ software, agentBundle, flowerUser }: Software): AgentCommand {
  const args = [...memoryFlags, agentBundle, '--software', software, '--flower-user', flowerUser];
  return { file: process.execPath, args };
}
