import { once } from 'node:events';
import http from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import https from 'node:https';
import { formatHostPort, type HostPort, messageOf } from '@oneflower/contract';
import { failure } from '../failure.ts';

export interface ProbeTarget {
  /** The gate, as this machine reaches it. */
  gate: HostPort;
  /** The CA that is published: nothing else is trusted. Absent: plain. */
  caPem: string | undefined;
  /** The certificate is an operator's: it names what SuperNodes dial, which need not be the address that is probed. */
  anyName?: boolean | undefined;
  fleet: 'http' | 'grpc';
}

const answerMs = 5000;
const longestQuote = 200;

/**
 * Whether the Fleet API answers through the gate as Flower does: 405 to GET on a call that takes POST only (seen on
 * 1.41; neither the gate nor anything else answers so), or before 1.40 with HTTP/2 settings. That a port is open says
 * nothing.
 *
 * @throws OneFlowerError `health_check_timeout` with what came instead.
 */
export async function probeFleet(target: ProbeTarget): Promise<void> {
  const where = formatHostPort(target.gate);
  try {
    if (target.fleet === 'grpc') await probeHttp2(target);
    else await probeHttp(target);
  } catch (error) {
    const message = `The Fleet API at ${where} does not answer: ${messageOf(error)}.`;
    throw failure('health_check_timeout', message, { cause: error });
  }
}

async function probeHttp({ gate, ...trust }: ProbeTarget): Promise<void> {
  const asked = {
    ...{ host: gate.host, port: gate.port, path: '/v1/fleet/activate-node', agent: false },
    signal: AbortSignal.timeout(answerMs),
  };
  const request = trust.caPem === undefined ? http.get(asked) : https.get({ ...asked, ...tlsOf(trust) });
  // Also what comes after the answer has begun, which the reader of the body reports.
  request.on('error', () => undefined);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  const text = await beginningOf(response);
  if (response.statusCode !== 405 || !text.includes('"detail"'))
    throw new Error(`it said ${response.statusCode} ${text}`.trim());
}

/** What a short answer says; of a long one its first part. */
async function beginningOf(response: http.IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of response.setEncoding('utf8')) {
    text += part;
    if (text.length >= longestQuote) break;
  }
  return text.slice(0, longestQuote);
}

async function probeHttp2({ gate, ...trust }: ProbeTarget): Promise<void> {
  const origin = `${trust.caPem === undefined ? 'http' : 'https'}://${formatHostPort(gate)}`;
  const session = connectHttp2(origin, { ...tlsOf(trust), timeout: answerMs });
  try {
    await new Promise<void>((resolve, reject) => {
      session.once('remoteSettings', () => resolve());
      session.once('error', reject);
      session.once('close', () => reject(new Error('the connection was closed')));
      session.setTimeout(answerMs, () => reject(new Error(`nothing came for ${answerMs / 1000} s`)));
    });
  } finally {
    session.destroy();
  }
}

function tlsOf({ caPem, anyName }: Pick<ProbeTarget, 'caPem' | 'anyName'>) {
  if (caPem === undefined) return {};
  return { ca: caPem, ...(anyName ? { checkServerIdentity: () => undefined } : {}) };
}
