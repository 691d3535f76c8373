import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** A block of loopback addresses, 127.x.y.0/24, that no other test run uses. */
export interface Network {
  /** Address number 1 to 250. */
  address(host: number): string;
  release(): void;
}

/** Whoever listens here has the block. */
const claimPort = 9999;

/** Claims a free block. */
export async function claimNetwork(): Promise<Network> {
  for (;;) {
    const block = `127.${randomInt(64, 250)}.${randomInt(0, 256)}`;
    const claim = await listen(`${block}.254`, claimPort);
    if (claim) return { address: host => `${block}.${host}`, release: () => void claim.close() };
  }
}

/** A server that closes what connects to it, or undefined when the port is taken. */
export async function listen(host: string, port: number): Promise<Server | undefined> {
  const server = createServer(socket => socket.destroy());
  try {
    server.listen({ host, port, exclusive: true });
    await once(server, 'listening');
    return server;
  } catch {
    return undefined;
  }
}
