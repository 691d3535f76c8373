import { once } from 'node:events';
import { createServer } from 'node:http';

/** A OneGate that takes whatever is published: what an agent talks to in every cloud. */
export async function openOneGate(host: string): Promise<{ endpoint: string; close(): void }> {
  const server = createServer((request, response) => {
    request.resume();
    request.once('end', () => response.writeHead(request.method === 'PUT' ? 200 : 400).end());
  });
  const port = 5030;
  server.listen(port, host);
  await once(server, 'listening');
  return {
    endpoint: `http://${host}:${port}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
