import { CloudFailure, type FailureKind } from '../failure.ts';
import { isHtml } from '../http/json.ts';
import type { HttpAnswer } from '../http/transport.ts';

/**
 * Reads an error of OneFlow: a plain sentence, or `{message, reason}` after a crash. 500 is its answer to everything
 * that is neither a bad login, a missing object nor a schema error; only the sentence tells a wrong state.
 */
export function oneflowFailure(call: string, { status, body }: HttpAnswer): CloudFailure {
  const html = isHtml(body);
  const crash = readCrash(body);
  const kind = html ? 'garbled' : kindOf(status, body, crash !== undefined);
  const words = html ? 'a page of HTML' : withoutEcho(crash ?? body);
  const transient = kind === 'unauthenticated' || (status >= 502 && status <= 504);
  return new CloudFailure({ server: 'oneflow', call, kind, words, status, transient });
}

function kindOf(status: number, body: string, crashed: boolean): FailureKind {
  if (status === 401) return /Not authorized to perform/.test(body) ? 'forbidden' : 'unauthenticated';
  if (status === 400) return 'refused';
  if (status === 403) return 'forbidden';
  if (status === 404) return 'not-found';
  if (status !== 500) return 'garbled';
  if (crashed) return 'crashed';
  return /\bin state: [A-Z_]+$|no roles in HOLD/.test(body.trim()) ? 'wrong-state' : 'refused';
}

/** A schema error repeats the part of the request that it is about, which may hold secrets. */
function withoutEcho(words: string): string {
  return words.replace(/ is missing from \{[\s\S]*$/, ' is missing');
}

function readCrash(body: string): string | undefined {
  if (!body.startsWith('{')) return undefined;
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== 'object' || parsed === null || !('message' in parsed)) return undefined;
    const reason = 'reason' in parsed ? String(parsed.reason) : '';
    return [String(parsed.message), reason].filter(Boolean).join(': ');
  } catch {
    return undefined;
  }
}
