import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { isOneFlowerError, messageOf, OneFlowerError } from '@oneflower/contract';
import {
  idRequest,
  listRunsRequest,
  pemOf,
  readLogChunk,
  readNodeId,
  readNodes,
  readRuns,
  readSuccess,
  registerNodeRequest,
  streamLogsRequest,
} from './messages.ts';
import { pinned } from './pinned.ts';
import type { ControlApi, LogChunk } from './types.ts';

export interface ControlApiOptions {
  host: string;
  port: number;
  /** The only CA that is trusted; absent: plain HTTP. */
  caPem?: string | undefined;
}

const media = 'application/protobuf';
/** A log chunk of 64 MiB is no log. */
const largestFrame = 64 * 1024 * 1024;
const largestRefusal = 64 * 1024;
const callTimeoutMs = 30_000;
const maximalRuns = 1000;
/** Flower's ApiErrorCode: the numbers are the same in 1.39 and 1.41. */
const codes = { keyInvalid: 22, keyInUse: 23, nodeNotFound: 24, runFinished: 18 } as const;

/**
 * Client of Flower's Control API: protobuf over HTTP on the SuperLink's own port since 1.37. It asks for no
 * credentials, which is why that port is on loopback.
 */
export function createControlApi({ host, port, caPem }: ControlApiOptions): ControlApi {
  const pool = { keepAlive: true, maxSockets: 8, timeout: 60_000 };
  const agent = caPem === undefined ? new http.Agent(pool) : new https.Agent({ ...pool, ...pinned(caPem) });
  const link: Link = { agent, host, port, secure: caPem !== undefined };
  return {
    async registerNode(publicKey, name) {
      const pem = pemOf(publicKey);
      if (pem === undefined) throw refused('register-node', codes.keyInvalid, 'The public key is not valid.');
      return await call(link, 'register-node', registerNodeRequest(pem, name), readNodeId);
    },
    async unregisterNode(nodeId) {
      await call(link, 'unregister-node', idRequest(nodeId), () => undefined);
    },
    listNodes: () => call(link, 'list-nodes', new Uint8Array(), readNodes),
    listRuns: () => call(link, 'list-runs', listRunsRequest(maximalRuns), readRuns),
    async stopRun(runId) {
      const stopped = await call(link, 'stop-run', idRequest(runId), readSuccess);
      if (!stopped) throw refused('stop-run', 0, `Flower did not stop run ${runId}.`);
    },
    streamLogs: (runId, after, signal) => streamLogs(link, runId, after, signal),
    health: () => health(link),
    close: async () => agent.destroy(),
  };
}

interface Link {
  agent: http.Agent | https.Agent;
  host: string;
  port: number;
  secure: boolean;
}

async function call<T>(link: Link, method: string, body: Uint8Array, read: (bytes: Uint8Array) => T): Promise<T> {
  try {
    const response = await post(link, method, body, media, AbortSignal.timeout(callTimeoutMs));
    return read(await readBody(response, largestFrame));
  } catch (error) {
    if (isOneFlowerError(error)) throw error;
    throw unreachable(link, error);
  }
}

async function post(
  link: Link,
  method: string,
  body: Uint8Array,
  accept: string,
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  const headers = { 'content-type': media, 'content-length': body.length, accept };
  const response = await send(link, { method: 'POST', path: `/v1/control/${method}`, headers, signal }, body);
  if (response.statusCode === 200) return response;
  const said = readRefusal(Buffer.from(await readBody(response, largestRefusal)).toString('utf8'));
  throw refused(method, said.code, said.detail || `HTTP status ${response.statusCode}.`);
}

/** A request on a pooled connection that the server has just closed is asked once more: nothing was answered yet. */
async function send(link: Link, options: http.RequestOptions, body: Uint8Array): Promise<http.IncomingMessage> {
  const { agent, host, port, secure } = link;
  const connection = { ...options, host, port, agent };
  const request = secure ? https.request(connection) : http.request(connection);
  // Also what comes after the answer has begun, which the reader of the body reports.
  request.on('error', () => undefined);
  request.end(body);
  try {
    const [response] = await once(request, 'response');
    return response as http.IncomingMessage;
  } catch (error) {
    const stale = request.reusedSocket && (error as NodeJS.ErrnoException).code === 'ECONNRESET';
    if (stale && !options.signal?.aborted) return await send(link, options, body);
    throw error;
  }
}

async function readBody(response: http.IncomingMessage, limit: number): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response) {
    parts.push(part as Buffer);
    length += (part as Buffer).length;
    if (length > limit) throw new Error(`an answer of more than ${limit} bytes`);
  }
  return Buffer.concat(parts);
}

async function* streamLogs(link: Link, runId: string, after: number, signal: AbortSignal): AsyncGenerator<LogChunk> {
  const request = streamLogsRequest(runId, after);
  try {
    const response = await post(link, 'stream-logs', request, 'application/flower-protobuf-stream', signal);
    let pending = Buffer.alloc(0);
    for await (const part of response) {
      pending = Buffer.concat([pending, part as Buffer]);
      for (let frame = takeFrame(pending); frame; frame = takeFrame(pending)) {
        pending = pending.subarray(4 + frame.length);
        yield readLogChunk(frame);
      }
    }
  } catch (error) {
    if (signal.aborted) return;
    if (isOneFlowerError(error)) throw error;
    throw unreachable(link, error);
  }
}

/** A streamed message is its length, four bytes big-endian, and itself. */
function takeFrame(from: Buffer): Buffer | undefined {
  if (from.length < 4) return undefined;
  const length = from.readUInt32BE(0);
  if (length > largestFrame) throw new Error(`a message of ${length} bytes`);
  return from.length < 4 + length ? undefined : from.subarray(4, 4 + length);
}

async function health(link: Link): Promise<boolean> {
  try {
    const response = await send(link, { path: '/health', signal: AbortSignal.timeout(5000) }, new Uint8Array());
    await readBody(response, largestRefusal);
    return response.statusCode === 200;
  } catch {
    return false;
  }
}

function readRefusal(text: string): { code: number; detail: string } {
  try {
    const { code, detail, extra } = JSON.parse(text) as { code?: unknown; detail?: unknown; extra?: unknown };
    const words = [detail, extra].filter(word => typeof word === 'string').join(' ');
    return { code: typeof code === 'number' ? code : 0, detail: words };
  } catch {
    return { code: 0, detail: '' };
  }
}

function refused(method: string, code: number, detail: string): OneFlowerError {
  const names: Record<number, string> = {
    [codes.keyInvalid]: 'flower-key-invalid',
    [codes.keyInUse]: 'flower-key-known',
    [codes.nodeNotFound]: 'flower-node-unknown',
    [codes.runFinished]: 'flower-run-finished',
  };
  return new OneFlowerError({
    code: names[code] ?? 'flower-refused',
    message: `Flower refused ${method}: ${detail}`,
    details: { method, flowerCode: code },
  });
}

function unreachable({ host, port, secure }: Link, cause: unknown): OneFlowerError {
  const origin = `${secure ? 'https' : 'http'}://${host}:${port}`;
  return new OneFlowerError({
    code: 'flower-unreachable',
    message: `Flower's SuperLink does not answer at ${origin}: ${messageOf(cause)}.`,
    reason: 'It is starting, was stopped, or shows another certificate than the one that is trusted.',
    remedy: "Wait for it to be restarted; the VM's log says why it ended.",
    cause,
    details: { origin },
  });
}
