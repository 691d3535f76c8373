import { connect as connectHttp2 } from 'node:http2';
import { formatHostPort, type HostPort, messageOf } from '@oneflower/contract';
import { Agent, request } from 'undici';
import { failure } from '../failure.ts';

export interface ProbeTarget {
  /** The gate, as this machine reaches it. */
  gate: HostPort;
  /** The CA that is published: nothing else is trusted. Absent: plain. */
  caPem: string | undefined;
  fleet: 'http' | 'grpc';
}

const answerMs = 5000;

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

async function probeHttp({ gate, caPem }: ProbeTarget): Promise<void> {
  const dispatcher = new Agent({ connect: { ...(caPem === undefined ? {} : { ca: caPem }), timeout: answerMs } });
  try {
    const origin = `${caPem === undefined ? 'http' : 'https'}://${formatHostPort(gate)}`;
    const response = await request(`${origin}/v1/fleet/activate-node`, {
      method: 'GET',
      dispatcher,
      headersTimeout: answerMs,
      bodyTimeout: answerMs,
    });
    const text = (await response.body.text()).slice(0, 200);
    if (response.statusCode !== 405 || !text.includes('"detail"'))
      throw new Error(`it said ${response.statusCode} ${text}`.trim());
  } finally {
    await dispatcher.destroy();
  }
}

async function probeHttp2({ gate, caPem }: ProbeTarget): Promise<void> {
  const origin = `${caPem === undefined ? 'http' : 'https'}://${formatHostPort(gate)}`;
  const session = connectHttp2(origin, { ...(caPem === undefined ? {} : { ca: caPem }), timeout: answerMs });
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
