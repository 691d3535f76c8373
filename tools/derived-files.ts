import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkout } from '../packages/cli/src/runtime/index.ts';
import { renderCoveragePage } from '../packages/minicloud/src/testing/coverage-page.ts';
import { renderEventSchema } from './derive/event-schema.ts';
import { renderVariablesPage } from './derive/variables-page.ts';

/** Every file that is derived from a table, by its path in the checkout. */
const derivedFiles: Record<string, () => string> = {
  'docs/minicloud-coverage.md': renderCoveragePage,
  'docs/variables.md': renderVariablesPage,
  'flower/tests/events.schema.json': renderEventSchema,
};

/** Paths whose content is not what the tables give. */
export async function staleFiles(): Promise<string[]> {
  const stale: string[] = [];
  for (const [path, render] of Object.entries(derivedFiles)) {
    const present = await readFile(join(checkout, path), 'utf8').catch(() => undefined);
    if (present !== render()) stale.push(path);
  }
  return stale;
}

/** Writes all derived files. @returns the paths that changed. */
export async function writeDerivedFiles(): Promise<string[]> {
  const stale = await staleFiles();
  for (const path of stale) await writeFile(join(checkout, path), derivedFiles[path]?.() ?? '');
  return stale;
}
