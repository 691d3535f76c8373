import http from 'node:http';

/** Whether a `flower-superlink` without TLS answers its health check. */
export function isHealthy(host: string, port = 8000): Promise<boolean> {
  return new Promise(resolve => {
    const request = http.get({ host, port, path: '/health', agent: false }, response => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.once('error', () => resolve(false));
  });
}
