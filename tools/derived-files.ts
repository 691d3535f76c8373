import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkout } from '../packages/cli/src/runtime/index.ts';
import { renderCoveragePage } from '../packages/minicloud/src/testing/coverage-page.ts';
import { renderAppConfig } from './derive/app-config.ts';
import { renderEventSchema } from './derive/event-schema.ts';
import { renderVariablesPage } from './derive/variables-page.ts';

/** Every file that is derived from a table, by its path in the checkout. */
const derivedFiles: Record<string, (present: string) => string> = {
  'docs/minicloud-coverage.md': renderCoveragePage,
  'docs/variables.md': renderVariablesPage,
  'flower/apps/anomaly-detection/pyproject.toml': renderAppConfig('anomaly-detection'),
  'flower/apps/llm-fine-tuning/pyproject.toml': renderAppConfig('llm-fine-tuning'),
  'flower/apps/image-classification/pyproject.toml': renderAppConfig('image-classification'),
  'flower/tests/events.schema.json': renderEventSchema,
};

/** Paths whose content is not what the tables give. */
export async function staleFiles(): Promise<string[]> {
  return (await rendered()).filter(({ present, text }) => present !== text).map(({ path }) => path);
}

/** Writes all derived files. @returns the paths that changed. */
export async function writeDerivedFiles(): Promise<string[]> {
  const stale = (await rendered()).filter(({ present, text }) => present !== text);
  for (const { path, text } of stale) await writeFile(join(checkout, path), text);
  return stale.map(({ path }) => path);
}

async function rendered(): Promise<{ path: string; present: string; text: string }[]> {
  return Promise.all(
    Object.entries(derivedFiles).map(async ([path, render]) => {
      const present = await readFile(join(checkout, path), 'utf8').catch(() => '');
      return { path, present, text: render(present) };
    }),
  );
}
