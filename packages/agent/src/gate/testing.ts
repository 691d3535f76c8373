import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@oneflower/contract';
import { type CertificateName, type Certificates, ensureCertificates } from '../certificates/index.ts';

/** For tests: a folder, and certificates made in it. */
export interface Bench {
  folder: string;
  tls: Certificates;
  /** Certificates of another CA, or of the same one with other names. */
  issue(name: string, names?: readonly CertificateName[]): Promise<Certificates>;
  remove(): Promise<void>;
}

export async function makeBench(): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'agent-gate-'));
  const issue = (name: string, names: readonly CertificateName[] = []) =>
    ensureCertificates({
      certsDirectory: join(folder, name, 'certs'),
      caDirectory: join(folder, name, 'ca'),
      names,
      clock: systemClock,
    });
  return { folder, tls: await issue('own'), issue, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** An HTTPS server on a free port of loopback, in the place of Flower. */
export async function startUpstream(
  { certificatePem, keyPem }: Certificates,
  handler: http.RequestListener,
  port = 0,
): Promise<{ port: number; server: https.Server; stop(): Promise<void> }> {
  const server = https.createServer({ cert: certificatePem, key: keyPem }, handler).listen(port, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  async function stop(): Promise<void> {
    server.closeAllConnections();
    server.close();
    if (server.listening) await once(server, 'close');
  }
  return { port: typeof address === 'object' ? (address?.port ?? 0) : 0, server, stop };
}

export interface Answer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

/** One request to 127.0.0.1 with its body; the target goes out as it stands. */
export async function ask(
  port: number,
  path: string,
  options: https.RequestOptions & { body?: string | Buffer; plain?: boolean } = {},
): Promise<Answer> {
  const { body, plain, ...rest } = options;
  const merged = { host: '127.0.0.1', port, path, method: body === undefined ? 'GET' : 'POST', agent: false, ...rest };
  const request = plain ? http.request(merged as http.RequestOptions) : https.request(merged as https.RequestOptions);
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  for await (const part of response) text += String(part);
  return { status: response.statusCode ?? 0, headers: response.headers, body: text };
}
