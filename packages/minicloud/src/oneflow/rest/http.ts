import { prettyJson } from '../json.ts';
import type { OwnedDocument } from '../wire.ts';

/** A request, whole. */
export interface RestRequest {
  method: string;
  /** Path with query, as in the request line. */
  path: string;
  /** Names in lower case. */
  headers: Record<string, string | undefined>;
  body: string;
}

/** An answer: bodies are text, mostly JSON, and yet always declared as HTML, as the real server does. */
export interface RestAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

const common = {
  'Content-Type': 'text/html;charset=utf-8',
  'X-XSS-Protection': '1; mode=block',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'SAMEORIGIN',
};

export function textAnswer(status: number, body: string): RestAnswer {
  return { status, headers: { ...common }, body };
}

export function documentAnswer(status: number, document: OwnedDocument): RestAnswer {
  return textAnswer(status, prettyJson({ DOCUMENT: document }));
}

/** A list; with nothing in it the key DOCUMENT is not there. */
export function poolAnswer(documents: OwnedDocument[]): RestAnswer {
  return textAnswer(200, prettyJson({ DOCUMENT_POOL: documents.length > 0 ? { DOCUMENT: documents } : {} }));
}

export function doneAnswer(): RestAnswer {
  return { status: 204, headers: { 'X-Content-Type-Options': 'nosniff' }, body: '' };
}

export function unknownPathAnswer(): RestAnswer {
  const page = '<!DOCTYPE html>\n<html>\n<body>\n  <h2>There is nothing at this path.</h2>\n</body>\n</html>\n';
  const answer = textAnswer(404, page);
  return { ...answer, headers: { 'X-Cascade': 'pass', ...answer.headers } };
}
