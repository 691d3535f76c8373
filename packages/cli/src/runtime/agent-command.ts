import type { Software } from './software.ts';

/** How a guest's agent is started; the embedded cloud adds what each VM has of its own. */
export interface AgentCommand {
  file: string;
  args: string[];
  env: Record<string, string>;
}

/**
 * V8 flags that keep the agent small beside Flower: a young generation of 2 MiB instead of 32, code made for size, and
 * no optimizing compilers, whose own code takes some MB once it is used. Not `--jitless` or `--lite-mode`: they take
 * WebAssembly away, which Node's `fetch` needs. `--expose-gc` and one thread for it:
 * the agent collects by itself what its boot and what streams through its gate has left.
 */
const memoryFlags = [
  '--expose-gc',
  '--single-threaded-gc',
  '--v8-pool-size=1',
  '--max-semi-space-size=1',
  '--optimize-for-size',
  '--no-maglev',
  '--no-turbofan',
];
/** glibc gives each thread an arena and keeps what is freed: one arena, given back early, is enough for few threads. */
const env = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_TRIM_THRESHOLD_: '65536',
  MALLOC_TOP_PAD_: '16384',
  UV_THREADPOOL_SIZE: '2',
};

/** The command that runs the agent of `software` in a guest. */
export function agentCommand({ software, agentBundle, releases, flowerUser }: Software): AgentCommand {
  const own = ['--software', software, '--releases', releases, '--flower-user', flowerUser];
  const args = [...memoryFlags, agentBundle, ...own];
  return { file: process.execPath, args, env };
}

/** The software folder of guests that are started by a command of {@link agentCommand}. */
export function softwareOf({ args }: Pick<AgentCommand, 'args'>): string | undefined {
  const flag = args.indexOf('--software');
  return flag === -1 ? undefined : args[flag + 1];
}
