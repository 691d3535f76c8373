import { pipeline } from 'node:stream/promises';
import { type ModelFormat, modelFormats, operatorPaths } from '@oneflower/contract';
import { writeHead } from '../gate/answers.ts';
import { answerError, answerJson, answerNotFound, type HttpRequest, type HttpResponse } from '../gate/index.ts';
import { refusal } from './answers.ts';
import type { OperatorSource } from './types.ts';
import { limitedBody } from './upload.ts';

interface Call {
  request: HttpRequest;
  response: HttpResponse;
  /** Parts of the path that a route's pattern captures. */
  id: string;
  query: URLSearchParams;
  source: OperatorSource;
}

interface Route {
  method: 'GET' | 'POST';
  path: RegExp;
  run(call: Call): Promise<void>;
}

const longestWaitSeconds = 30;
const { runs, models } = operatorPaths;

/** The operator API, one entry a call. */
const routes: readonly Route[] = [
  {
    method: 'GET',
    path: exactly(operatorPaths.status),
    run: async ({ response, source }) => answerJson(response, 200, await source.status()),
  },
  {
    method: 'GET',
    path: exactly(runs),
    run: async ({ response, source }) => answerJson(response, 200, { runs: await source.runs() }),
  },
  { method: 'POST', path: exactly(runs), run: submit },
  { method: 'POST', path: new RegExp(`^${runs}/(\\d{1,20})/stop$`), run: stop },
  { method: 'POST', path: new RegExp(`^${runs}/(\\d{1,20})/resume$`), run: resume },
  { method: 'GET', path: new RegExp(`^${runs}/(\\d{1,20})/logs$`), run: logs },
  {
    method: 'GET',
    path: new RegExp(`^${runs}/(\\d{1,20})/checkpoints$`),
    run: async ({ response, id, source }) => answerJson(response, 200, { checkpoints: await source.checkpoints(id) }),
  },
  {
    method: 'GET',
    path: new RegExp(`^${runs}/(\\d{1,20})/history$`),
    run: async ({ response, id, source }) => answerJson(response, 200, await source.history(id)),
  },
  { method: 'GET', path: exactly(operatorPaths.events), run: events },
  {
    method: 'GET',
    path: exactly(models),
    run: async ({ response, source }) => answerJson(response, 200, { models: await source.models() }),
  },
  {
    method: 'GET',
    path: new RegExp(`^${models}/(\\d{1,20})$`),
    run: async ({ response, id, query, source }) =>
      answerJson(response, 200, await source.model(id, whichModel(query))),
  },
  { method: 'GET', path: new RegExp(`^${models}/(\\d{1,20})/file$`), run: modelFile },
];

/** Serves one call of the operator API whose token was found right. */
export async function serve(request: HttpRequest, response: HttpResponse, source: OperatorSource): Promise<void> {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const matching = routes.filter(route => route.path.test(path));
  const route = matching.find(({ method }) => method === request.method);
  if (matching.length === 0) answerNotFound(response);
  else if (!route) {
    const allow = matching.map(({ method }) => method).join(', ');
    answerError(response, 405, { code: 'bad-request', message: `This is asked with ${allow}.` }, { allow });
  } else {
    const id = route.path.exec(path)?.[1] ?? '';
    await route.run({ request, response, id, query: new URLSearchParams(query), source });
  }
}

async function submit({ request, response, query, source }: Call): Promise<void> {
  const overrides = query.getAll('run-config');
  const wrong = overrides.find(override => !/^[^=\s]+=/.test(override));
  if (wrong !== undefined) throw refusal('bad-request', `run-config "${wrong.slice(0, 100)}" is not KEY=VALUE.`);
  answerJson(response, 200, await source.submit(limitedBody(request), overrides, checkpointChoice(query)));
}

async function resume({ response, id, query, source }: Call): Promise<void> {
  const round = query.has('checkpoint') ? wholeNumber(query, 'checkpoint') : undefined;
  answerJson(response, 200, await source.resume(id, round));
}

async function stop({ response, id, source }: Call): Promise<void> {
  await source.stop(id);
  answerJson(response, 200, {});
}

async function logs({ response, id, query, source }: Call): Promise<void> {
  answerJson(response, 200, await source.logs(id, wholeNumber(query, 'after')));
}

async function events({ response, query, source }: Call): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const wait = Math.min(wholeNumber(query, 'wait'), longestWaitSeconds);
  answerJson(response, 200, await source.events(wholeNumber(query, 'after'), wait * 1000, gone.signal));
}

async function modelFile({ response, id, query, source }: Call): Promise<void> {
  const format = query.get('format') ?? 'npz';
  if (!isFormat(format)) throw refusal('bad-request', `format must be one of ${modelFormats.join(', ')}.`);
  const download = await source.modelFile(id, whichModel(query), format);
  try {
    writeHead(response, 200, {
      'content-type': 'application/octet-stream',
      'content-length': download.bytes,
      'content-disposition': `attachment; filename="${id}${download.ending}"`,
      'x-sha256': download.sha256,
      'cache-control': 'no-store',
    });
    const file = download.file.createReadStream({ autoClose: false, start: 0 });
    // A reader that goes away is no failure.
    await pipeline(file, response as NodeJS.WritableStream).catch(() => response.destroy());
  } finally {
    await download.close();
  }
}

function whichModel(query: URLSearchParams): 'final' | 'best' | number {
  const which = query.get('which') ?? 'final';
  return which === 'final' || which === 'best' ? which : wholeNumber(query, 'which');
}

function isFormat(text: string): text is ModelFormat {
  return (modelFormats as readonly string[]).includes(text);
}

/** `RUN` or `RUN/ROUND`. */
function checkpointChoice(query: URLSearchParams): { runId: string; round?: number } | undefined {
  const from = query.get('from');
  if (from === null) return undefined;
  const [, runId, round] = /^(\d{1,20})(?:\/(\d{1,9}))?$/.exec(from) ?? [];
  if (runId === undefined) throw refusal('bad-request', 'from must be RUN or RUN/ROUND.');
  return round === undefined ? { runId } : { runId, round: Number(round) };
}

function wholeNumber(query: URLSearchParams, name: string): number {
  const text = query.get(name) ?? '0';
  if (!/^\d{1,15}$/.test(text)) throw refusal('bad-request', `${name} must be a whole number.`);
  return Number(text);
}

function exactly(path: string): RegExp {
  return new RegExp(`^${path}$`);
}
