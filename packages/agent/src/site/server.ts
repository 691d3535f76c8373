import { createHash } from 'node:crypto';
import { EnrolRequest, isOneFlowerError, messageOf, StateRequest, sitePaths } from '@oneflower/contract';
import type { z } from 'zod';
import { createAttempts } from '../gate/attempts.ts';
import { bearerOf } from '../gate/bearer.ts';
import { answerError, answerJson, answerNotFound, type HttpRequest, type HttpResponse } from '../gate/index.ts';
import { Enrolment } from './enrolment.ts';
import { refuse } from './refusals.ts';
import type { Site, SiteOptions } from './types.ts';

const largestBody = 16 * 1024;
const bodyMs = 15_000;

/**
 * The SuperLink's side of enrolment: nodes come with the join token, are registered with Flower, lease a partition and
 * then tell their state with a token of their own.
 *
 * @throws OneFlowerError when the state cannot be read at all.
 */
export async function createSite(options: SiteOptions): Promise<Site> {
  const enrolment = await Enrolment.load(options);
  const attempts = createAttempts(options.clock);
  const joinHash = createHash('sha256').update(options.joinToken).digest('hex');

  async function enrol(request: HttpRequest): Promise<unknown> {
    const verdict = attempts.judge(request, joinHash);
    if (verdict === 'wrong') throw refuse('join-token-refused', 'The join token is not the one of this SuperLink.');
    if (verdict === 'wrong-again')
      throw refuse('too-many-wrong-tokens', 'The join token is refused: too many wrong ones came from this address.');
    return await enrolment.enrol(await readJson(request, EnrolRequest, options));
  }

  async function route(request: HttpRequest): Promise<unknown> {
    const token = bearerOf(request) ?? '';
    if (request.url === sitePaths.enrol) return await enrol(request);
    if (request.url === sitePaths.state)
      return await enrolment.report(token, await readJson(request, StateRequest, options));
    await enrolment.leave(token);
    return {};
  }

  return {
    handle(request, response) {
      const known: readonly (string | undefined)[] = Object.values(sitePaths);
      if (!known.includes(request.url)) answerNotFound(response);
      else if (request.method !== 'POST') answerMethod(response);
      else
        route(request).then(
          body => answerJson(response, 200, body),
          error => answerFailure(response, error, options),
        );
    },
    nodes: () => enrolment.nodes(),
    refresh: () => enrolment.refresh(),
    onlineCount: () => enrolment.liveness.online.length,
    setTraining(active) {
      enrolment.training = active;
    },
    close: () => enrolment.close(),
  };
}

async function readJson<T>(request: HttpRequest, shape: z.ZodType<T>, { clock }: SiteOptions): Promise<T> {
  const timer = clock.after(bodyMs, () => request.destroy());
  const parts: Buffer[] = [];
  let length = 0;
  try {
    // Whoever sends too much is still to read why, so the connection stays.
    for await (const part of request.iterator({ destroyOnReturn: false })) {
      length += (part as Buffer).length;
      if (length > largestBody) throw refuse('bad-request', `The request is larger than ${largestBody} bytes.`);
      parts.push(part as Buffer);
    }
  } finally {
    timer.cancel();
  }
  const parsed = shape.safeParse(parseJson(Buffer.concat(parts).toString('utf8')));
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map(({ path }) => path.join('.') || 'body');
  throw refuse(
    'bad-request',
    `The request does not have the form of this protocol: ${[...new Set(fields)].join(', ')}.`,
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function answerMethod(response: HttpResponse): void {
  answerError(response, 405, { code: 'bad-request', message: 'This is asked with POST.' }, { allow: 'POST' });
}

function answerFailure(response: HttpResponse, error: unknown, { warn }: SiteOptions): void {
  if (isOneFlowerError(error) && typeof error.details.status === 'number') {
    const { code, message, remedy } = error;
    const { status } = error.details;
    const retry: Record<string, string> =
      status === 503 ? { 'retry-after': '2' } : status === 429 ? { 'retry-after': '60' } : {};
    answerError(response, status, { code, message, ...(remedy === undefined ? {} : { remedy }) }, retry);
    return;
  }
  if (response.destroyed) return;
  warn(`An enrolment could not be served: ${isOneFlowerError(error) ? error.explain() : messageOf(error)}`);
  answerError(
    response,
    503,
    { code: 'not-ready', message: 'The SuperLink cannot serve this now.' },
    { 'retry-after': '5' },
  );
}
