import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Layout, layoutOf } from '../../packages/agent/src/layout.ts';
import { agentCommand, type Software } from '../../packages/cli/src/runtime/index.ts';
import type { Scene, Started } from './scene.ts';

/** What the agent says last when it boots. */
const ready = 'The VM is ready.';

/** A VM with its agent, started as the embedded cloud starts it. */
export interface Guest {
  agent: Started;
  layout: Layout;
  isReady(): boolean;
}

/** Starts an agent with these variables at an address of the scene. */
export async function startGuest(
  scene: Scene,
  software: Software,
  host: number,
  context: Record<string, string>,
): Promise<Guest> {
  const folder = join(scene.folder, `guest-${host}`);
  const root = join(folder, 'root');
  scene.holds(root);
  await mkdir(join(folder, 'context'), { recursive: true });
  await mkdir(root, { recursive: true });
  const lines = Object.entries(context).map(([name, value]) => `${name}='${value}'\n`);
  await writeFile(join(folder, 'context', 'context.sh'), lines.join(''));
  await writeFile(join(folder, 'context', 'token.txt'), 'token-of-the-vm');
  const { file, args, env } = agentCommand(software);
  const own = ['--root', root, '--context', join(folder, 'context'), '--address', scene.address(host)];
  // As in a cloud, the agent gets nothing of our environment.
  const agent = scene.start(file, [...args, ...own], { ...env, PATH: '/usr/local/bin:/usr/bin:/bin' });
  return { agent, layout: layoutOf(root, software.software), isReady: () => agent.said().includes(ready) };
}
