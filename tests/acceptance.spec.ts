import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');

/** Every test that the page names, with its file. */
function namedTests(): [file: string, name: string][] {
  const named: [string, string][] = [];
  let file = '';
  const rows = readFileSync(join(root, 'docs', 'acceptance-training.md'), 'utf8').matchAll(/^\| .*$/gm);
  for (const [, span = ''] of [...rows].flatMap(([row]) => [...row.matchAll(/`([^`]+)`/g)])) {
    if (/^[\w/-]+(\.spec\.ts|\.py)$/.test(span)) file = span;
    else named.push([file, span]);
  }
  return named;
}

it.each(namedTests())('the page about acceptance names a test of %s that there is: %s', (file, name) => {
  const text = readFileSync(join(root, file), 'utf8');
  const quoted = [`'${name}'`, `"${name}"`, `def ${name}(`];
  expect(quoted.some(words => text.includes(words))).toBe(true);
});
