import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const entry = join(import.meta.dirname, '..', 'bin', 'oneflower.mjs');
const run = promisify(execFile);
/** Another Node than the one that comes with the packages, where the machine has one. */
const nodes = [process.execPath, '/usr/bin/node'];

it.each(nodes)('the entry runs with %s and passes arguments and exit codes on', async node => {
  const usable = await run(node, ['--version']).then(
    () => true,
    () => false,
  );
  if (!usable) return;
  expect((await run(node, [entry, '--version'])).stdout).toMatch(/^oneflower \d/);
  const refused = await run(node, [entry, 'no-such-command']).catch(error => error);
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('no-such-command') });
});

it('help loads nothing heavy', async () => {
  const script = `
    import { registerHooks } from 'node:module';
    const seen = [];
    registerHooks({ load(url, context, next) { seen.push(url); return next(url, context); } });
    process.argv = [process.argv[0], 'oneflower', '--help'];
    await import(${JSON.stringify(join(import.meta.dirname, 'main.ts'))});
    process.stderr.write(JSON.stringify(seen));
  `;
  const { stderr } = await run(process.execPath, ['--input-type=module', '--eval', script]);
  const loaded: string[] = JSON.parse(stderr);
  expect(
    loaded.filter(url => /\/(zod|undici|fastify|esbuild|yaml)\/|packages\/(control|minicloud)\//.test(url)),
  ).toEqual([]);
});
