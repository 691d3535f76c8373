import { isOneFlowerError, messageOf, OneFlowerError } from '@oneflower/contract';
import { answerError, type HttpResponse } from '../gate/index.ts';

const statuses: Readonly<Record<string, number>> = {
  'bad-request': 400,
  'token-refused': 401,
  'no-token': 403,
  'run-unknown': 404,
  'model-unknown': 404,
  'checkpoint-unknown': 404,
  'run-ended': 409,
  'run-not-resumable': 409,
  'archive-too-large': 413,
  'too-many-wrong-tokens': 429,
};

/** An error of the request itself. */
export function refusal(code: string, message: string, remedy?: string): OneFlowerError {
  return new OneFlowerError({ code, message, fault: 'user', ...(remedy === undefined ? {} : { remedy }) });
}

/** Answers what went wrong in its own words; what nobody expected goes to the log and is answered without detail. */
export function answerFailure(response: HttpResponse, error: unknown, warn: (message: string) => void): void {
  if (!isOneFlowerError(error)) {
    if (!response.destroyed) warn(`The operator API could not serve a request: ${messageOf(error)}`);
    answerError(response, 500, { code: 'internal', message: "This failed; the VM's log says why." });
    return;
  }
  const { code, message, reason, remedy, fault } = error;
  const status = statuses[code] ?? (fault === 'user' ? 400 : 503);
  const headers: Record<string, string> = status === 401 ? { 'www-authenticate': 'Bearer' } : {};
  const words = [message, reason].filter(Boolean).join(' ');
  answerError(response, status, { code, message: words, ...(remedy === undefined ? {} : { remedy }) }, headers);
}
