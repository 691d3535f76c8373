import { once } from 'node:events';
import http from 'node:http';
import type net from 'node:net';
import { type Clock, failures, OneFlowerError } from '@oneflower/contract';
import type { HostPort } from './types.ts';

/** How long answers under way may take once a listener is closed. */
const graceMs = 2000;

/**
 * Starts to listen.
 *
 * @throws OneFlowerError `port_taken`, also when the address is not this machine's or the port is not allowed.
 */
export async function listenOn(server: net.Server, { host, port }: HostPort): Promise<void> {
  trackConnections(server);
  server.listen({ host, port });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw cannotListen(host, port, error as NodeJS.ErrnoException);
  }
}

/** Stops listening, lets answers under way finish for a moment, then ends what is left. */
export async function closeServer(server: net.Server, clock: Clock): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  if (server instanceof http.Server) server.closeIdleConnections();
  const timer = clock.after(graceMs, () => endConnections(server));
  if (!(server instanceof http.Server)) endConnections(server);
  await closed;
  timer.cancel();
}

const connections = new WeakMap<net.Server, Set<net.Socket>>();

function trackConnections(server: net.Server): void {
  const open = new Set<net.Socket>();
  connections.set(server, open);
  server.on('connection', (socket: net.Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
  });
}

function endConnections(server: net.Server): void {
  for (const socket of connections.get(server) ?? []) socket.destroy();
}

function cannotListen(host: string, port: number, error: NodeJS.ErrnoException): OneFlowerError {
  const reasons: Record<string, string> = {
    EADDRNOTAVAIL: `${host} is not an address of this machine.`,
    EACCES: 'Ports below 1024 are for root.',
    ENOTFOUND: `${host} is not an address.`,
  };
  return new OneFlowerError({
    code: 'port_taken',
    message: `Cannot listen on ${host}:${port} (${error.code ?? error.message}).`,
    ...failures.port_taken,
    reason: reasons[error.code ?? ''] ?? failures.port_taken.reason,
    cause: error,
    details: { host, port },
  });
}
