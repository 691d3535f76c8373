import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { createControlApi } from './client.ts';

/** For tests: the Python of an environment that holds Flower. `npm test` makes one and sets the variable. */
export function flowerPython(): string {
  const python = process.env.ONEFLOWER_PYTHON;
  if (!python) throw new Error('ONEFLOWER_PYTHON is not set: run the tests by `npm test`, which prepares Flower.');
  return python;
}

/** A program of Flower's environment. */
export function flowerProgram(name: string): string {
  return join(dirname(flowerPython()), name);
}

/** A TCP port of loopback that was free a moment ago. */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A Flower process under test, with what it has said so far. */
export interface FlowerProcess {
  output(): string;
  /** The exit code, or null while it runs or when a signal ended it. */
  exited: Promise<number | null>;
  stop(): Promise<void>;
}

export interface SuperLinkOptions {
  folder: string;
  port: number;
  /** Without it the SuperLink runs insecurely and knows no node keys. */
  tls?: { caFile: string; certificateFile: string; keyFile: string } | undefined;
}

/** Starts a real SuperLink on loopback and waits until it answers its probe. */
export async function startSuperLink({ folder, port, tls }: SuperLinkOptions): Promise<FlowerProcess> {
  const secure = tls
    ? ['--ssl-ca-certfile', tls.caFile, '--ssl-certfile', tls.certificateFile, '--ssl-keyfile', tls.keyFile]
    : [];
  const link = startFlower('flower-superlink', folder, [
    ...['--host', '127.0.0.1', '--port', String(port), '--database', join(folder, 'state.db')],
    ...(tls ? [...secure, '--enable-supernode-auth'] : ['--insecure']),
  ]);
  const caPem = tls ? readFileSync(tls.caFile, 'utf8') : undefined;
  const control = createControlApi({ host: '127.0.0.1', port, caPem });
  const gone = link.exited.then(code => {
    throw new Error(`flower-superlink ended with ${code}: ${link.output()}`);
  });
  gone.catch(() => undefined);
  await Promise.race([gone, until(() => control.health(), 40_000)]);
  await control.close();
  return link;
}

/** Starts a program of Flower in a process group of its own, with a home of its own and telemetry off. */
export function startFlower(program: string, folder: string, args: readonly string[]): FlowerProcess {
  const home = join(folder, 'flwr-home');
  mkdirSync(home, { recursive: true });
  const child = spawn(flowerProgram(program), args, {
    cwd: folder,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: `${dirname(flowerPython())}:${process.env.PATH ?? ''}`,
      HOME: home,
      FLWR_HOME: home,
      FLWR_TELEMETRY_ENABLED: '0',
      FLWR_DISABLE_UPDATE_CHECK: '1',
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', chunk => (output += String(chunk)));
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  return { output: () => output, exited, stop: () => stop(child, exited) };
}

/** Polls until `condition` is true. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs: number): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`condition not met within ${timeoutMs} ms: ${condition}`);
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}

async function stop(child: ChildProcess, exited: Promise<number | null>): Promise<void> {
  if (child.pid === undefined) return;
  kill(child.pid, 'SIGTERM');
  const patience = setTimeout(() => kill(child.pid, 'SIGKILL'), 3000);
  await exited;
  clearTimeout(patience);
  kill(child.pid, 'SIGKILL');
}

/** The whole group: SuperLink and SuperNode have a SuperExec as their child. */
function kill(pid: number | undefined, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // The group is gone.
  }
}
