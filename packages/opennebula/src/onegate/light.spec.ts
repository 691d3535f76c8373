import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, it } from 'vitest';

it('bundles without a parser of XML, for the agent in the guest', async () => {
  const { metafile } = await build({
    entryPoints: [join(import.meta.dirname, 'index.ts')],
    bundle: true,
    format: 'esm',
    platform: 'node',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const inputs = Object.keys(metafile.inputs);
  expect(inputs.some(path => path.includes('zod'))).toBe(true);
  expect(inputs.filter(path => /xml-parser|undici|\/(xmlrpc|oned)\//.test(path))).toEqual([]);
});
