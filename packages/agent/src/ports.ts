import { createServer } from 'node:net';
import { formatHostPort, type HostPort } from '@oneflower/contract';
import { failure } from './failure.ts';

/**
 * Sees whether a port can be listened on. Flower says so only in its log, and ends.
 *
 * @throws OneFlowerError `port_taken`
 */
export async function assertPortFree({ host, port }: HostPort, whose: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const server = createServer();
    server.once('error', error => {
      const where = formatHostPort({ host, port });
      reject(
        failure('port_taken', `${where}, which ${whose} needs, cannot be listened on: ${error.message}.`, {
          remedy: 'Stop the other process that listens there.',
          cause: error,
        }),
      );
    });
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve()));
  });
}
