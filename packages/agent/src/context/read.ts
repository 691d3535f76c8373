import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '@oneflower/contract';
import { failure } from '../failure.ts';
import type { ContextFiles } from './context.ts';
import { parseContext } from './parse.ts';

/**
 * Reads a CONTEXT CD's folder: `context.sh` and, where CONTEXT has TOKEN=YES, `token.txt`.
 *
 * @throws OneFlowerError `context_unreadable`
 */
export async function readContext(folder: string): Promise<ContextFiles> {
  const text = await readFile(join(folder, 'context.sh'), 'utf8').catch((error: unknown) => {
    throw failure('context_unreadable', `Cannot read context.sh: ${messageOf(error)}.`, { cause: error });
  });
  const values = parseContext(text);
  const token = await readFile(join(folder, 'token.txt'), 'utf8').catch(() => undefined);
  return { values, token: token?.trim() || undefined };
}
