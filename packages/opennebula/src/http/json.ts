import * as z from 'zod';
import { CloudFailure, type CloudServer } from '../failure.ts';
import type { HttpAnswer } from './transport.ts';

/** A JSON answer in its expected shape. Content-Type says nothing: OneFlow calls everything text/html. */
export function readJson<Result>(
  server: CloudServer,
  call: string,
  answer: HttpAnswer,
  schema: z.ZodType<Result>,
): Result {
  const result = check(schema, parse(server, call, answer));
  if (result instanceof RangeError) throw garbled(server, call, answer, 'the answer is nested too deeply', result);
  if (result.success) return result.data;
  throw garbled(server, call, answer, z.prettifyError(result.error), result.error);
}

/** A hostile answer may nest deeper than the stack allows. */
function check<Result>(schema: z.ZodType<Result>, value: unknown): z.ZodSafeParseResult<Result> | RangeError {
  try {
    return schema.safeParse(value);
  } catch (error) {
    if (error instanceof RangeError) return error;
    throw error;
  }
}

function parse(server: CloudServer, call: string, answer: HttpAnswer): unknown {
  try {
    return JSON.parse(answer.body);
  } catch (error) {
    throw garbled(server, call, answer, 'the answer is no JSON', error);
  }
}

/** A read may be repeated after it: half a document is what a server that goes down leaves behind. */
function garbled(
  server: CloudServer,
  call: string,
  { status }: HttpAnswer,
  words: string,
  cause: unknown,
): CloudFailure {
  return new CloudFailure({ server, call, kind: 'garbled', words, status, cause, transient: true });
}

/** True for a page of HTML: the path is unknown, or it is another server. */
export function isHtml(body: string): boolean {
  return /^\s*<(!doctype|html)/i.test(body);
}
