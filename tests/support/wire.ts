import type { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';

export interface Question {
  method?: string;
  /** The only CA that is trusted; absent with http: addresses. */
  caPem?: string;
  token?: string;
  body?: string;
}

export interface Answer {
  status: number;
  text: string;
}

/** Asks an HTTP server on a connection of its own. @throws the error of the connection. */
export async function ask(url: string, { method = 'GET', caPem, token, body }: Question = {}): Promise<Answer> {
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  const options = { method, headers, agent: false, timeout: 10_000 };
  const request = url.startsWith('https:')
    ? secureRequest(url, { ...options, ...(caPem === undefined ? {} : { ca: caPem }) })
    : plainRequest(url, options);
  request.on('timeout', () => request.destroy(new Error(`${url} did not answer`)));
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return { status: response.statusCode ?? 0, text };
}

/** The certificate that a TLS server shows; it is not checked against anything. */
export async function presentedCertificate(host: string, port: number): Promise<X509Certificate> {
  const socket: TLSSocket = connect({ host, port, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect');
    const certificate = socket.getPeerX509Certificate();
    if (!certificate) throw new Error(`${host}:${port} shows no certificate`);
    return certificate;
  } finally {
    socket.destroy();
  }
}
