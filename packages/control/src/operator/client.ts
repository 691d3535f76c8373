import {
  ApiError,
  CheckpointList,
  type CheckpointSummary,
  EventPage,
  type ModelFormat,
  ModelList,
  ModelManifest,
  type ModelSummary,
  OneFlowerError,
  operatorPaths,
  RunHistory,
  RunList,
  RunLogs,
  RunSummary,
  SuperLinkStatus,
} from '@oneflower/contract';
import * as z from 'zod';
import {
  connectionFailure,
  createOperatorTransport,
  type OperatorAccess,
  type OperatorAnswer,
  type OperatorCall,
} from './transport.ts';

/** The file of a model on its way. */
export interface ModelStream {
  chunks: AsyncIterable<Buffer>;
  length: number | null;
  /** SHA-256 of the whole file, in hexadecimal digits, as the SuperLink says. */
  sha256: string;
}

/** Which model of a run: that of its end, of its best round, or of a round. */
export type WhichModel = 'final' | 'best' | number;

/**
 * The operator API of one service, typed. Every method may throw OneFlowerError `operator-unreachable`,
 * `operator-untrusted`, `operator-token-refused`, `operator-garbled`, or `operator-refused` with the SuperLink's words.
 */
export interface OperatorClient {
  status(signal?: AbortSignal): Promise<SuperLinkStatus>;
  runs(): Promise<RunSummary[]>;
  /** `overrides` are KEY=VALUE of the run config; `from` is RUN or RUN/ROUND, a checkpoint to begin with. */
  submit(archive: Buffer, overrides: readonly string[], from?: string): Promise<RunSummary>;
  /** Lets a run that has ended go on, from its last checkpoint or that of a round. */
  resume(runId: string, round: number | undefined): Promise<RunSummary>;
  checkpoints(runId: string): Promise<CheckpointSummary[]>;
  history(runId: string): Promise<RunHistory>;
  stop(runId: string): Promise<void>;
  logs(runId: string, after: number, signal?: AbortSignal): Promise<RunLogs>;
  /** Events with a higher number than `after`; waits up to `waitSeconds` (at most 30) for the first. */
  events(after: number, waitSeconds: number, signal?: AbortSignal): Promise<EventPage>;
  /** The final models, without what is told of them. */
  models(): Promise<ModelSummary[]>;
  model(runId: string, which: WhichModel): Promise<ModelManifest>;
  modelFile(runId: string, which: WhichModel, format: ModelFormat, signal?: AbortSignal): Promise<ModelStream>;
  close(): Promise<void>;
}

const largestAnswer = 16 * 1024 * 1024;
const submitTimeoutMs = 300_000;
/** Another format than arrays by name is made when it is asked for. */
const exportTimeoutMs = 360_000;

export function createOperatorClient(access: OperatorAccess): OperatorClient {
  const transport = createOperatorTransport(access);
  async function call<Result>(request: OperatorCall, schema: z.ZodType<Result>): Promise<Result> {
    const answer = await transport.send(request);
    const text = await readText(access, answer, request.signal);
    if (answer.statusCode >= 300) throw refusal(access, answer.statusCode, text);
    const parsed = schema.safeParse(parseJson(text));
    if (parsed.success) return parsed.data;
    throw garbled(access, request, z.prettifyError(parsed.error));
  }
  const get = <Result>(path: string, schema: z.ZodType<Result>, rest: Partial<OperatorCall> = {}) =>
    call({ method: 'GET', path, ...rest }, schema);
  const modelPath = (runId: string): string => `${operatorPaths.models}/${encodeURIComponent(runId)}`;
  const run = (runId: string): string => `${operatorPaths.runs}/${encodeURIComponent(runId)}`;
  return {
    status: signal => get(operatorPaths.status, SuperLinkStatus, { signal }),
    runs: async () => (await get(operatorPaths.runs, RunList)).runs,
    submit: (content, overrides, from) =>
      call(
        {
          method: 'POST',
          path: operatorPaths.runs,
          query: { 'run-config': overrides, ...(from === undefined ? {} : { from }) },
          body: { content, type: 'application/gzip' },
          timeoutMs: submitTimeoutMs,
        },
        RunSummary,
      ),
    resume(runId, round) {
      const query: Record<string, string> = round === undefined ? {} : { checkpoint: String(round) };
      const path = `${run(runId)}/resume`;
      return call({ method: 'POST', path, query, timeoutMs: submitTimeoutMs }, RunSummary);
    },
    checkpoints: async runId => (await get(`${run(runId)}/checkpoints`, CheckpointList)).checkpoints,
    history: runId => get(`${run(runId)}/history`, RunHistory),
    async stop(runId) {
      await call({ method: 'POST', path: `${run(runId)}/stop` }, z.unknown());
    },
    logs: (runId, after, signal) => get(`${run(runId)}/logs`, RunLogs, { query: { after: String(after) }, signal }),
    events: (after, waitSeconds, signal) =>
      get(operatorPaths.events, EventPage, {
        query: { after: String(after), wait: String(waitSeconds) },
        timeoutMs: (waitSeconds + 15) * 1000,
        signal,
      }),
    models: async () => (await get(operatorPaths.models, ModelList)).models,
    model: (runId, which) => get(modelPath(runId), ModelManifest, { query: { which: String(which) } }),
    async modelFile(runId, which, format, signal) {
      const query = { which: String(which), format };
      const path = `${modelPath(runId)}/file`;
      const answer = await transport.send({ method: 'GET', path, query, timeoutMs: exportTimeoutMs, signal });
      if (answer.statusCode >= 300) throw refusal(access, answer.statusCode, await readText(access, answer, signal));
      const length = Number(answer.headers['content-length']);
      const sha256 = String(answer.headers['x-sha256'] ?? '');
      return { chunks: chunksOf(access, answer, signal), length: Number.isSafeInteger(length) ? length : null, sha256 };
    },
    close: () => transport.close(),
  };
}

async function* chunksOf(
  access: OperatorAccess,
  answer: OperatorAnswer,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of answer.body) yield chunk;
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw connectionFailure(access, error);
  }
}

async function readText(access: OperatorAccess, answer: OperatorAnswer, signal?: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunksOf(access, answer, signal)) {
    size += chunk.length;
    if (size > largestAnswer) {
      throw connectionFailure(access, new Error(`the answer has more than ${largestAnswer} bytes`));
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function refusal(access: OperatorAccess, status: number, text: string): OneFlowerError {
  const said = ApiError.safeParse(parseJson(text)).data?.error;
  if (status === 401 || status === 403) {
    return new OneFlowerError({
      code: 'operator-token-refused',
      message: `The SuperLink of ${access.service} does not accept the operator token that is kept here.`,
      reason: 'The service of that name was deployed anew from another machine.',
      remedy: 'Work from the machine that deployed it last, or delete the service and deploy it again.',
      fault: 'user',
    });
  }
  return new OneFlowerError({
    code: 'operator-refused',
    message: `The SuperLink of ${access.service} refuses: ${plain(said?.message ?? `HTTP status ${status}`)}`,
    ...(said?.remedy === undefined ? {} : { remedy: plain(said.remedy) }),
    fault: status < 500 ? 'user' : 'environment',
    details: { status, code: said?.code ?? null },
  });
}

function garbled(access: OperatorAccess, request: OperatorCall, why: string): OneFlowerError {
  return new OneFlowerError({
    code: 'operator-garbled',
    message: `The answer of ${access.service} to ${request.method} ${request.path} is not what it must be: ${plain(why)}.`,
    reason: 'The SuperLink runs another version of OneFlower, or another program answers there.',
    remedy: `See oneflower status ${access.service} for the version that it runs.`,
  });
}

function plain(text: string): string {
  return text
    .replace(/[\0-\x1f\x7f-\x9f]+/g, ' ')
    .trim()
    .slice(0, 1000);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
