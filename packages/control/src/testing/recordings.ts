import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const folder = join(import.meta.dirname, '..', '..', '..', '..', 'tests', 'recordings', 'opennebula');

/** A recorded request that the real server accepted. */
export interface AcceptedRequest {
  file: string;
  line: string;
  body: string;
}

/** The recorded requests of an area whose first line fits and that were answered with 2xx. */
export function acceptedRequests(area: string, line: RegExp): AcceptedRequest[] {
  return readdirSync(join(folder, area))
    .filter(file => file.endsWith('.req'))
    .map(file => ({ file, ...readRequest(join(folder, area, file)) }))
    .filter(request => line.test(request.line) && isAccepted(join(folder, area, request.file)));
}

export function recordedJson(path: string): unknown {
  return JSON.parse(readFileSync(join(folder, path), 'utf8'));
}

function readRequest(path: string): { line: string; body: string } {
  const text = readFileSync(path, 'utf8');
  const end = text.indexOf('\r\n\r\n');
  return { line: text.slice(0, text.indexOf('\r\n')), body: text.slice(end + 4) };
}

function isAccepted(request: string): boolean {
  return /^HTTP\/1\.1 2\d\d /.test(readFileSync(request.replace(/\.req$/, '.res'), 'utf8'));
}

/**
 * The paths of a JSON value with the type at each end: `roles[].min_vms:number`. Names of inputs, networks and
 * context variables are anybody's choice, so below `open` paths a name is `*`.
 */
export function shapeOf(value: unknown, open: RegExp, path = ''): Set<string> {
  if (Array.isArray(value)) return union(value.map(item => shapeOf(item, open, `${path}[]`)));
  if (typeof value === 'object' && value !== null) {
    return union(
      Object.entries(value).map(([key, item]) =>
        shapeOf(item, open, `${path}.${open.test(path) ? '*' : key}`.replace(/^\./, '')),
      ),
    );
  }
  return new Set([`${path}:${typeof value}`]);
}

function union(sets: Set<string>[]): Set<string> {
  return new Set(sets.flatMap(set => [...set]));
}
