import { isOneFlowerError, messageOf, OneFlowerError } from '@oneflower/contract';
import { Agent, type Dispatcher, request } from 'undici';
import type { OperatorEndpoint } from '../service/vms.ts';

/** Where the operator API is and how one proves who one is. */
export interface OperatorAccess {
  /** Name of the service, for messages. */
  service: string;
  endpoint: OperatorEndpoint;
  token: string;
  /** Deployed with TLS: then a plain connection is never made, whatever the VM publishes. */
  requireTls: boolean;
}

export interface OperatorCall {
  method: 'GET' | 'POST';
  path: string;
  query?: Record<string, string | readonly string[]>;
  body?: { content: Buffer; type: string };
  /** Milliseconds until the answer must have begun. */
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
}

export type OperatorAnswer = Dispatcher.ResponseData;
export interface OperatorTransport {
  /** @throws OneFlowerError `operator-unreachable`, `operator-untrusted`. */
  send(call: OperatorCall): Promise<OperatorAnswer>;
  close(): Promise<void>;
}

const connectTimeoutMs = 10_000;
const answerTimeoutMs = 30_000;

/**
 * HTTPS with the service's own CA as the only one that is trusted; the certificate must name the address that is
 * called. Redirects are not followed, so the token goes nowhere else.
 */
export function createOperatorTransport(access: OperatorAccess): OperatorTransport {
  const { host, port, tls, ca } = access.endpoint;
  const secure = tls || access.requireTls;
  if (secure && ca === null) throw missingCa(access);
  const agent = new Agent({
    connectTimeout: connectTimeoutMs,
    bodyTimeout: answerTimeoutMs,
    ...(secure && ca !== null ? { connect: { ca: ca.pem, timeout: connectTimeoutMs } } : {}),
  });
  const origin = `${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return {
    send: call => send(access, agent, origin, call),
    close: () => agent.destroy(),
  };
}

async function send(access: OperatorAccess, agent: Agent, origin: string, call: OperatorCall): Promise<OperatorAnswer> {
  const url = new URL(call.path, origin);
  for (const [name, value] of Object.entries(call.query ?? {})) {
    for (const one of typeof value === 'string' ? [value] : value) url.searchParams.append(name, one);
  }
  try {
    return await request(url, {
      dispatcher: agent,
      method: call.method,
      headers: {
        authorization: `Bearer ${access.token}`,
        accept: '*/*',
        ...(call.body ? { 'content-type': call.body.type } : {}),
      },
      headersTimeout: call.timeoutMs ?? answerTimeoutMs,
      ...(call.body ? { body: call.body.content } : {}),
      ...(call.signal ? { signal: call.signal } : {}),
    });
  } catch (error) {
    if (call.signal?.aborted) throw call.signal.reason;
    throw connectionFailure(access, error);
  }
}

/** What a broken connection means to an operator. */
export function connectionFailure(access: OperatorAccess, error: unknown): OneFlowerError {
  if (isOneFlowerError(error)) return error;
  const { host, port } = access.endpoint;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const details = { host, port, code };
  if (/CERT|TLS|SSL|SIGNED|UNABLE_TO_(GET|VERIFY)/.test(code)) {
    return new OneFlowerError({
      code: 'operator-untrusted',
      message: `The operator API of ${access.service} at ${host}:${port} does not have the certificate that the service published: ${messageOf(error)}.`,
      reason: 'Another machine answers at that address, or the certificates were made anew just now.',
      remedy: 'Try again in a minute; if it stays so, check who has that address. Nothing secret was sent.',
      cause: error,
      details,
    });
  }
  return new OneFlowerError({
    code: 'operator-unreachable',
    message: `The operator API of ${access.service} at ${host}:${port} does not answer: ${messageOf(error) || code}.`,
    reason: 'The SuperLink is starting or stopped, or its network cannot be reached from here.',
    remedy: `See oneflower status ${access.service}; FL_CONTROL_API_ADDRESS says where the SuperLink listens for operators.`,
    cause: error,
    details,
  });
}

function missingCa({ service }: OperatorAccess): OneFlowerError {
  return new OneFlowerError({
    code: 'operator-untrusted',
    message: `The SuperLink of ${service} has published no CA certificate, so its operator API cannot be trusted.`,
    reason: 'It was deployed with TLS, and a plain connection would give the operator token away.',
    remedy: `See oneflower status ${service}: the SuperLink may be starting.`,
  });
}
