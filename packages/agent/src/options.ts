import { execFile } from 'node:child_process';
import { isIP } from 'node:net';
import { parseArgs, promisify } from 'node:util';
import { messageOf, OneFlowerError } from '@oneflower/contract';
import type { FileOwner } from './files.ts';

/** How the agent is started. */
export interface AgentOptions {
  /** Where the guest's file system starts: nothing is written outside it. */
  root: string;
  /** Folder of the CONTEXT CD. */
  context: string;
  /** The address that stands for the guest's loopback and wildcard addresses; absent in a VM of its own. */
  address: string | undefined;
  /** Folder with Flower's environments, our Python code and the apps. */
  software: string;
  /** Folder of the Flower releases that are installed; guests of one machine share it. Absent: the guest's own. */
  releases?: string | undefined;
  /** User for Flower's processes where the agent is root. */
  flowerUser: string;
}

/** How to call the agent. */
export const usage =
  'agent.cjs --root DIR --context DIR [--address IP] [--software DIR] [--releases DIR] [--flower-user NAME]';

/**
 * Reads the command line.
 *
 * @throws OneFlowerError `usage`
 */
export function readOptions(args: string[]): AgentOptions {
  const text = { type: 'string' } as const;
  try {
    const { values } = parseArgs({
      args,
      options: { root: text, context: text, address: text, software: text, releases: text, 'flower-user': text },
    });
    if (!values.root || !values.context) throw new Error('--root and --context are needed');
    if (values.address !== undefined && isIP(values.address) === 0) throw new Error('--address is no IP address');
    return {
      root: values.root,
      context: values.context,
      address: values.address,
      software: values.software ?? '/opt/oneflower',
      releases: values.releases,
      flowerUser: values['flower-user'] ?? 'flower',
    };
  } catch (error) {
    throw new OneFlowerError({ code: 'usage', message: `${messageOf(error)}. Usage: ${usage}`, fault: 'user' });
  }
}

/**
 * The user for Flower's processes: undefined where the agent is not root and they run as its own.
 *
 * @throws OneFlowerError `usage` when there is no such user.
 */
export async function flowerOwner(name: string): Promise<FileOwner | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const found = await promisify(execFile)('getent', ['passwd', name]).catch(() => undefined);
  const [, , uid, gid] = found?.stdout.split(':') ?? [];
  if (uid === undefined || gid === undefined) {
    throw new OneFlowerError({
      code: 'usage',
      message: `There is no user ${JSON.stringify(name)} to run Flower as.`,
      remedy: 'Create it, or name another one with --flower-user.',
      fault: 'user',
    });
  }
  return { uid: Number(uid), gid: Number(gid) };
}
