import { internalError, Refusal } from './reply.ts';

/** A request as the handlers see it. */
export interface GateRequest {
  method: string;
  /** Path without the query. */
  path: string;
  query: string;
  /** Names in lower case. */
  headers: Record<string, string | undefined>;
  body: Buffer;
}

/** Form bodies above 4 MiB are refused (seen); a raw body may be larger. */
export const longestForm = 4 * 1024 * 1024;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The body as text. Bytes that are no UTF-8 fail as they do on the way to the real oned. */
export function bodyText(request: GateRequest): string {
  return decodeBytes(request.body);
}

/**
 * Parameters of the query and, where the content type says so, of a form in the body; of equal names the last one
 * counts. A form is read on any verb: the stock client sends `extended=true` in the body of a GET.
 *
 * @throws Refusal 400 for a broken percent code, 500 for a form over 4 MiB
 */
export function readParams(request: GateRequest): Map<string, string> {
  const params = new Map<string, string>();
  addPairs(params, request.query);
  const type = (request.headers['content-type'] ?? '').toLowerCase();
  if (type.startsWith('application/x-www-form-urlencoded')) {
    if (request.body.length > longestForm) throw internalError();
    addPairs(params, request.body.toString('latin1'));
  } else if (type.startsWith('multipart/form-data')) {
    if (request.body.length > longestForm) throw internalError();
    addParts(params, request);
  }
  return params;
}

function addPairs(params: Map<string, string>, text: string): void {
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equal = pair.indexOf('=');
    const name = equal < 0 ? pair : pair.slice(0, equal);
    params.set(percentDecode(name), equal < 0 ? '' : percentDecode(pair.slice(equal + 1)));
  }
}

/** `text` holds bytes as latin1 characters. */
function percentDecode(text: string): string {
  if (/%(?![0-9a-fA-F]{2})/.test(text)) {
    const shown = Buffer.from(text, 'latin1').toString('utf8');
    throw new Refusal(400, `Invalid query parameters: invalid %-encoding (${shown})`, 'text/html;charset=utf-8');
  }
  const bytes = text
    .replaceAll('+', ' ')
    .replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return decodeBytes(Buffer.from(bytes, 'latin1'));
}

function addParts(params: Map<string, string>, request: GateRequest): void {
  const boundary = /boundary="?([^";]+)"?/i.exec(request.headers['content-type'] ?? '')?.[1];
  if (!boundary) throw internalError();
  const sections = request.body.toString('latin1').split(`--${boundary}`).slice(1, -1);
  for (const section of sections) {
    const end = section.indexOf('\r\n\r\n');
    const name = /content-disposition:[^\r\n]*[; ]name="([^"]*)"/i.exec(section.slice(0, Math.max(0, end)))?.[1];
    if (end < 0 || name === undefined) throw internalError();
    params.set(name, decodeBytes(Buffer.from(section.slice(end + 4).replace(/\r\n$/, ''), 'latin1')));
  }
}

function decodeBytes(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw internalError();
  }
}
