import { readFileSync } from 'node:fs';

/** A recorded HTTP request, read back from its bytes. */
export interface RecordedRequest {
  /** The bytes as they went over the socket, for replays that must keep the transport's form. */
  raw: Buffer;
  method: string;
  path: string;
  version: string;
  /** Names in lower case; a repeated header keeps the last value. */
  headers: Record<string, string>;
  body: string;
}

/** A recorded HTTP response, read back from its bytes. */
export interface RecordedResponse {
  raw: Buffer;
  status: number;
  reason: string;
  headers: Record<string, string>;
  body: string;
}

/** One recorded exchange with what the index says of it. */
export interface Recording {
  area: string;
  /** The file's stem: `NNN-name`. */
  stem: string;
  what: string;
  note: string;
  request: RecordedRequest;
  response: RecordedResponse;
}

interface IndexEntry {
  area: string;
  file: string;
  what?: string;
  note?: string;
}

const folder = new URL('../../../../tests/recordings/opennebula/', import.meta.url);

function readRaw(name: string): Buffer {
  return readFileSync(new URL(name, folder));
}

interface Head {
  start: string;
  headers: Record<string, string>;
  body: Buffer;
}

function splitHead(raw: Buffer): Head {
  const end = raw.indexOf('\r\n\r\n');
  const head = (end < 0 ? raw : raw.subarray(0, end)).toString('latin1');
  const body = end < 0 ? Buffer.alloc(0) : raw.subarray(end + 4);
  const [start = '', ...lines] = head.split('\r\n');
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { start, headers, body };
}

/** Reads a raw HTTP request. */
export function parseRequest(raw: Buffer): RecordedRequest {
  const { start, headers, body } = splitHead(raw);
  const [method = '', path = '', version = ''] = start.split(' ');
  return { raw, method, path, version, headers, body: body.toString('utf8') };
}

/** Reads a raw HTTP response. */
export function parseResponse(raw: Buffer): RecordedResponse {
  const { start, headers, body } = splitHead(raw);
  const [, status = '0', ...reason] = start.split(' ');
  return { raw, status: Number(status), reason: reason.join(' '), headers, body: body.toString('utf8') };
}

let index: IndexEntry[] | undefined;

function loadIndex(): IndexEntry[] {
  index ??= JSON.parse(readRaw('index.json').toString('utf8')) as IndexEntry[];
  return index;
}

/**
 * All recordings of an area (`xmlrpc`, `oneflow`, `onegate`, `http`, `cli`) in the order of the calls, which is
 * the order in which they can be replayed.
 */
export function recordingsOf(area: string): Recording[] {
  return loadIndex()
    .filter(entry => entry.area === area)
    .map(entry => recording(area, entry.file));
}

/** One recording by area and stem. Throws when there is none. */
export function recording(area: string, stem: string): Recording {
  const entry = loadIndex().find(candidate => candidate.area === area && candidate.file === stem);
  if (!entry) throw new Error(`No recording ${area}/${stem}.`);
  return {
    area,
    stem,
    what: entry.what ?? '',
    note: entry.note ?? '',
    request: parseRequest(readRaw(`${area}/${stem}.req`)),
    response: parseResponse(readRaw(`${area}/${stem}.res`)),
  };
}

/** A file of the recordings that is no exchange, such as `guest/vm0-context.sh.txt`. */
export function recordedText(name: string): string {
  return readRaw(name).toString('utf8');
}

/** Like {@link recordedText} for the JSON extracts. The caller says what is in it. */
export function recordedJson<T>(name: string): T {
  return JSON.parse(recordedText(name)) as T;
}
