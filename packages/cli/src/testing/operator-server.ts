import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import {
  type CheckpointSummary,
  type EventPage,
  type FlowerEvent,
  type ModelManifest,
  operatorPaths,
  type RunHistory,
  type RunSummary,
  type SuperLinkStatus,
} from '@oneflower/contract';

/** The operator API as the SuperLink's agent serves it, with what a test puts into it. */
export class OperatorServer {
  runs: RunSummary[] = [];
  models: ModelManifest[] = [];
  /** Models that checkpoints hold, of runs that have left no file. */
  readonly checkpointed: ModelManifest[] = [];
  status: SuperLinkStatus = {
    flowerVersion: '1.41.0',
    agentVersion: '0.1.0',
    tls: true,
    useCase: 'none',
    waitingFor: null,
    nodes: [],
    run: null,
  };
  /** Final arrays by run, others by `RUN WHICH FORMAT`. */
  readonly modelFiles = new Map<string, Buffer>();
  /** Told of the next files instead of what is right. */
  sha256: string | undefined;
  readonly histories = new Map<string, RunHistory>();
  checkpoints: CheckpointSummary[] = [];
  /** Whether runs that are stopped can be resumed. */
  resumable = true;
  readonly resumed: { runId: string; round: string | null }[] = [];
  readonly logs = new Map<string, string>();
  /** SHA-256 of the token that is accepted. */
  tokenHash = '';
  /** All that were sent. */
  readonly tokens: string[] = [];
  /** The next so many calls are cut off. */
  cuts = 0;
  readonly submitted: { archive: Buffer; overrides: string[]; from: string | null }[] = [];
  #events: EventPage['events'] = [];
  #waiting: (() => void)[] = [];
  readonly #server: Server;

  constructor(tls?: { cert: string; key: string }) {
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      this.#handle(request, response).catch(error => response.destroy(error));
    };
    this.#server = tls ? createTlsServer(tls, handle) : createServer(handle);
  }

  async listen(host: string): Promise<number> {
    this.#server.listen(0, host);
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const wake of this.#waiting) wake();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  tell(...events: Omit<FlowerEvent, 'timestamp'>[]): void {
    for (const { event, data } of events) {
      this.#events.push({ seq: this.#events.length + 1, event, timestamp: '2026-01-01T00:00:00Z', data });
    }
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://operator');
    const body = Buffer.concat(await request.toArray());
    if (this.cuts > 0) {
      this.cuts--;
      request.socket.destroy();
      return;
    }
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    this.tokens.push(token);
    if (createHash('sha256').update(token).digest('hex') !== this.tokenHash) {
      return answer(response, 401, refusal('token-refused', 'The token is not accepted.'));
    }
    const file = new RegExp(`^${operatorPaths.models}/([^/]+)/file$`).exec(url.pathname)?.[1];
    if (file !== undefined) return this.#file(response, file, url.searchParams);
    return answer(response, ...(await this.#route(`${request.method} ${url.pathname}`, url, body)));
  }

  async #route(call: string, url: URL, body: Buffer): Promise<[number, unknown]> {
    const run = new RegExp(`${operatorPaths.runs}/([^/]+)/(logs|stop|resume|checkpoints|history)$`).exec(url.pathname);
    if (call === `GET ${operatorPaths.status}`) return [200, this.status];
    if (call === `GET ${operatorPaths.runs}`) return [200, { runs: this.runs }];
    if (call === `POST ${operatorPaths.runs}`) return [200, this.#submit(url, body)];
    if (call === `GET ${operatorPaths.models}`)
      return [200, { models: this.models.map(({ details: _, ...listed }) => listed) }];
    if (call === `GET ${operatorPaths.events}`) return [200, await this.#page(url)];
    if (run?.[2] === 'logs') return [200, this.#log(run[1] ?? '', Number(url.searchParams.get('after')))];
    if (run?.[2] === 'resume') return [200, this.#resume(run[1] ?? '', url)];
    if (run?.[2] === 'checkpoints') return [200, { checkpoints: this.checkpoints }];
    if (run?.[2] === 'history') return [200, this.histories.get(run[1] ?? '')];
    const model = new RegExp(`${operatorPaths.models}/([^/]+)$`).exec(url.pathname)?.[1];
    if (model !== undefined) return this.#model(model, url);
    if (run?.[2] === 'stop') return this.#stop(run[1] ?? '');
    return [404, refusal('not-found', 'There is nothing at that path.')];
  }

  #submit(url: URL, archive: Buffer): RunSummary {
    const query = url.searchParams;
    this.submitted.push({ archive, overrides: query.getAll('run-config'), from: query.get('from') });
    const [continues, round] = query.get('from')?.split('/') ?? [];
    const begins = continues === undefined ? {} : { continues, checkpoint: Number(round) };
    const runId = String(100 + this.runs.length);
    const run = runSummary({ runId, submittedBy: 'operator', status: 'pending', ...begins });
    this.runs.push(run);
    return run;
  }

  #resume(continues: string, url: URL): RunSummary {
    const round = url.searchParams.get('checkpoint');
    this.resumed.push({ runId: continues, round });
    return runSummary({ runId: '200', continues, checkpoint: Number(round ?? 6) });
  }

  #model(runId: string, url: URL): [number, unknown] {
    const which = url.searchParams.get('which');
    const found = [...this.models, ...this.checkpointed].find(model => model.runId === runId);
    const rounds: Record<string, number | undefined> = { final: found?.round, best: 3 };
    return found
      ? [200, { ...found, round: rounds[which ?? 'final'] ?? Number(which) }]
      : [404, refusal('model-unknown', 'None.')];
  }

  async #page(url: URL): Promise<EventPage> {
    const after = Number(url.searchParams.get('after'));
    const wait = Number(url.searchParams.get('wait'));
    if (wait > 0 && !this.#events.some(({ seq }) => seq > after)) {
      await new Promise<void>(resolve => this.#waiting.push(resolve));
    }
    return { events: this.#events.filter(({ seq }) => seq > after), next: this.#events.length };
  }

  #log(runId: string, after: number) {
    const text = Buffer.from(this.logs.get(runId) ?? '');
    const ended = this.runs.find(run => run.runId === runId)?.endedAt !== null;
    return { text: text.subarray(after).toString('utf8'), next: text.length, ended };
  }

  #stop(runId: string): [number, unknown] {
    const run = this.runs.find(one => one.runId === runId);
    if (!run) return [404, refusal('run-unknown', `There is no run ${runId}.`)];
    if (run.status === 'completed') return [409, refusal('run-ended', `The run ${runId} has ended.`)];
    Object.assign(run, { status: 'stopped', resumable: this.resumable });
    return [204, undefined];
  }

  #file(response: ServerResponse, runId: string, query: URLSearchParams): void {
    const which = query.get('which');
    const format = query.get('format');
    const key = which === 'final' && format === 'npz' ? runId : `${runId} ${which} ${format}`;
    const content = this.modelFiles.get(key);
    if (!content) {
      answer(response, 400, refusal('framework-missing', `No ${format}.`));
      return;
    }
    const sha256 = this.sha256 ?? createHash('sha256').update(content).digest('hex');
    response.writeHead(200, { 'content-length': content.length, 'x-sha256': sha256 }).end(content);
  }
}

export function runSummary(parts: Partial<RunSummary>): RunSummary {
  return {
    runId: '7',
    app: 'anomaly-detection',
    status: 'running',
    details: '',
    submittedBy: 'variables',
    round: 0,
    rounds: 3,
    startedAt: '2026-01-01T00:00:00Z',
    endedAt: null,
    metrics: {},
    model: false,
    continues: null,
    continuedBy: null,
    checkpoint: null,
    resumes: false,
    resumable: false,
    ...parts,
  };
}

function refusal(code: string, message: string) {
  return { error: { code, message } };
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}
