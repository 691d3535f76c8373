import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const entry = join(import.meta.dirname, '..', 'bin', 'oneflower.mjs');
const run = promisify(execFile);
/** Another Node than the one that comes with the packages, where the machine has one. */
const nodes = [process.execPath, '/usr/bin/node'];

async function isUsable(node: string): Promise<boolean> {
  return run(node, ['--version']).then(
    () => true,
    () => false,
  );
}

it.each(nodes)('the entry runs with %s and passes arguments and exit codes on', async node => {
  if (!(await isUsable(node))) return;
  expect((await run(node, [entry, '--version'])).stdout).toMatch(/^oneflower \d/);
  const refused = await run(node, [entry, 'no-such-command']).catch(error => error);
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('no-such-command') });
});

it.each(nodes)('an interrupt ends a command that runs with %s in an orderly way, with 130', async node => {
  if (!(await isUsable(node))) return;
  const server = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  const home = await mkdtemp(join(tmpdir(), 'oneflower-entry-'));
  try {
    await writeFile(join(home, 'one_auth'), 'tester:x');
    const env = { ONEFLOWER_HOME: home, ONE_XMLRPC: `${url}/RPC2`, ONEFLOW_URL: url, ONE_AUTH: join(home, 'one_auth') };
    const child = spawn(node, [entry, 'status'], { env, stdio: 'ignore' });
    await once(server, 'request');
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([130, null]);
  } finally {
    server.closeAllConnections();
    server.close();
    await rm(home, { recursive: true });
  }
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
