import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export type RecordingArea = 'xmlrpc' | 'oneflow' | 'onegate' | 'cli';

/** One recorded exchange with the real OpenNebula. */
export interface Recording {
  area: RecordingArea;
  stem: string;
  method: string;
  path: string;
  requestHeaders: Readonly<Record<string, string>>;
  requestBody: string;
  status: number;
  responseHeaders: Readonly<Record<string, string>>;
  responseBody: string;
}

const ROOT = join(import.meta.dirname, '../../../../tests/recordings/opennebula');

/** The recording of that stem, or of the stem's number: `103` or `103-vm-info-after-onegate-put`. */
export function recording(area: RecordingArea, stem: string): Recording {
  const full = stems(area).find(name => name === stem || name.startsWith(`${stem}-`));
  if (!full) throw new Error(`no recording ${area}/${stem}`);
  return read(area, full);
}

export function recordings(area: RecordingArea): Recording[] {
  return stems(area).map(stem => read(area, stem));
}

/** A file beside the recordings, for example `onegate/put-results.json`. */
export function recordedJson(path: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}

function stems(area: RecordingArea): string[] {
  const files = readdirSync(join(ROOT, area)).filter(name => name.endsWith('.req'));
  return files.map(name => name.slice(0, -'.req'.length)).sort();
}

function read(area: RecordingArea, stem: string): Recording {
  const request = split(readFileSync(join(ROOT, area, `${stem}.req`), 'utf8'));
  const response = split(readFileSync(join(ROOT, area, `${stem}.res`), 'utf8'));
  const [method = '', path = ''] = request.first.split(' ');
  return {
    area,
    stem,
    method,
    path,
    requestHeaders: request.headers,
    requestBody: request.body,
    status: Number(response.first.split(' ')[1]),
    responseHeaders: response.headers,
    responseBody: response.body,
  };
}

function split(message: string): { first: string; headers: Record<string, string>; body: string } {
  const end = message.indexOf('\r\n\r\n');
  const [first = '', ...lines] = message.slice(0, end).split('\r\n');
  const headers = Object.fromEntries(
    lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  return { first, headers, body: message.slice(end + 4) };
}
