import { messageOf, OneFlowerError } from '@oneflower/contract';
import { Agent, type Dispatcher } from 'undici';
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
const maximalRuns = 1000;
/** Flower's ApiErrorCode: the numbers are the same in 1.39 and 1.41. */
const codes = { keyInvalid: 22, keyInUse: 23, nodeNotFound: 24, runFinished: 18 } as const;

/**
 * Client of Flower's Control API: protobuf over HTTP on the SuperLink's own port since 1.37. It asks for no
 * credentials, which is why that port is on loopback.
 */
export function createControlApi(options: ControlApiOptions): ControlApi {
  const connect = options.caPem === undefined ? {} : { ca: options.caPem };
  const agent = new Agent({ connect, connections: 8, keepAliveTimeout: 4000, headersTimeout: 30_000, bodyTimeout: 0 });
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  const origin = `${options.caPem === undefined ? 'http' : 'https'}://${host}:${options.port}`;
  const link: Link = { agent, origin };
  return {
    async registerNode(publicKey, name) {
      const pem = pemOf(publicKey);
      if (pem === undefined) throw refused('register-node', codes.keyInvalid, 'The public key is not valid.');
      return readNodeId(await call(link, 'register-node', registerNodeRequest(pem, name)));
    },
    async unregisterNode(nodeId) {
      await call(link, 'unregister-node', idRequest(nodeId));
    },
    listNodes: async () => readNodes(await call(link, 'list-nodes', new Uint8Array())),
    listRuns: async () => readRuns(await call(link, 'list-runs', listRunsRequest(maximalRuns))),
    async stopRun(runId) {
      const stopped = readSuccess(await call(link, 'stop-run', idRequest(runId)));
      if (!stopped) throw refused('stop-run', 0, `Flower did not stop run ${runId}.`);
    },
    streamLogs: (runId, after, signal) => streamLogs(link, runId, after, signal),
    health: () => health(link),
    close: () => agent.destroy(),
  };
}

interface Link {
  agent: Agent;
  origin: string;
}

async function call(link: Link, method: string, body: Uint8Array): Promise<Uint8Array> {
  const response = await post(link, method, body, media, AbortSignal.timeout(30_000));
  try {
    return new Uint8Array(await response.body.arrayBuffer());
  } catch (error) {
    throw unreachable(link, error);
  }
}

async function post(
  { agent, origin }: Link,
  method: string,
  body: Uint8Array,
  accept: string,
  signal: AbortSignal,
): Promise<Dispatcher.ResponseData> {
  const headers = { 'content-type': media, accept };
  let response: Dispatcher.ResponseData;
  try {
    response = await agent.request({ origin, path: `/v1/control/${method}`, method: 'POST', headers, body, signal });
  } catch (error) {
    throw unreachable({ agent, origin }, error);
  }
  if (response.statusCode === 200) return response;
  const text = await response.body.text().catch(() => '');
  const said = readRefusal(text);
  throw refused(method, said.code, said.detail || `HTTP status ${response.statusCode}.`);
}

async function* streamLogs(link: Link, runId: string, after: number, signal: AbortSignal): AsyncGenerator<LogChunk> {
  const request = streamLogsRequest(runId, after);
  const response = await post(link, 'stream-logs', request, 'application/flower-protobuf-stream', signal);
  let pending = Buffer.alloc(0);
  try {
    for await (const part of response.body) {
      pending = Buffer.concat([pending, part as Buffer]);
      for (let frame = takeFrame(pending); frame; frame = takeFrame(pending)) {
        pending = pending.subarray(4 + frame.length);
        yield readLogChunk(frame);
      }
    }
  } catch (error) {
    if (signal.aborted) return;
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

async function health({ agent, origin }: Link): Promise<boolean> {
  const signal = AbortSignal.timeout(5000);
  try {
    const { statusCode, body } = await agent.request({ origin, path: '/health', method: 'GET', signal });
    await body.dump();
    return statusCode === 200;
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

function unreachable({ origin }: Link, cause: unknown): OneFlowerError {
  return new OneFlowerError({
    code: 'flower-unreachable',
    message: `Flower's SuperLink does not answer at ${origin}: ${messageOf(cause)}.`,
    reason: 'It is starting, was stopped, or shows another certificate than the one that is trusted.',
    remedy: "Wait for it to be restarted; the VM's log says why it ended.",
    cause,
    details: { origin },
  });
}
