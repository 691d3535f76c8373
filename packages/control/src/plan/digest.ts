import { createHash } from 'node:crypto';

/** Eight hexadecimal digits that stand for a content; the order of its keys counts. */
export function digest(content: unknown): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 8);
}
