import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Finished, runCommandLine } from './testing/command-line.ts';

let home: string;
let servers: Server[];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'oneflower-errors-'));
  servers = [];
});
afterEach(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
  await rm(home, { recursive: true, force: true });
});

/** A server on loopback that is up to no good. */
async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An address on which nothing listens any more. */
async function nobody(): Promise<string> {
  const url = await serve(() => undefined);
  const server = servers.pop();
  server?.close();
  if (server) await once(server, 'close');
  return url;
}

async function runAgainst(url: string, ...words: string[]): Promise<Finished> {
  await writeFile(join(home, 'one_auth'), 'tester:secret-password');
  const environment = {
    ONEFLOWER_HOME: home,
    HOME: home,
    ONE_XMLRPC: `${url}/RPC2`,
    ONEFLOW_URL: url,
    ONE_AUTH: join(home, 'one_auth'),
  };
  return runCommandLine({ environment, folder: home }, ...words);
}

function codeOf(finished: Finished): unknown {
  return (finished.document().error as { code: string }).code;
}

describe('a cloud that cannot be used', () => {
  it('because nothing answers: exit code 3, in three sentences', async () => {
    const refused = await runAgainst(await nobody(), 'status');
    expect(refused.code).toBe(3);
    expect(refused.stdout).toBe('');
    expect(refused.stderr).toMatch(
      /^Error: OneFlow failed at GET \/service: .*\nCause: Nothing answers.*\nDo: Check that/,
    );
  });

  it('because it does not accept the login: exit code 3, and the password is not shown', async () => {
    const url = await serve((_, response) => response.writeHead(401).end('Invalid credentials'));
    const refused = await runAgainst(url, 'deploy', '--json');
    expect(codeOf(refused)).toBe('oneflow-unauthenticated');
    expect(refused.code).toBe(3);
    expect(refused.stdout + refused.stderr).not.toContain('secret-password');
  });

  it('because something else answers there', async () => {
    const url = await serve((_, response) => response.end('<html>hello</html>'));
    const refused = await runAgainst(url, 'status', '--json');
    expect(codeOf(refused)).toBe('oneflow-garbled');
    expect(refused.code).toBe(3);
  });

  it('because there is none, none of that name, or its file is damaged', async () => {
    const environment = { ONEFLOWER_HOME: home, HOME: home };
    const run = (...words: string[]) => runCommandLine({ environment, folder: home }, ...words, '--json');
    const none = await run('status');
    expect([codeOf(none), none.code]).toEqual(['cloud-none', 3]);
    const wrongAnyway = await run('deploy', '--set', 'FL_NUM_ROUNDS=0');
    expect([codeOf(wrongAnyway), wrongAnyway.code]).toEqual(['variables-invalid', 2]);
    const embedded = await run('status', '--cloud', 'embedded');
    expect([codeOf(embedded), embedded.code]).toEqual(['cloud-unknown', 3]);
    expect(embedded.stderr).toContain('oneflower cloud start');
    const { saveCloud } = await import('@oneflower/control');
    await saveCloud(home, 'site-a', { xmlrpc: 'http://127.0.0.1:9/RPC2', oneflow: 'http://127.0.0.1:9' });
    const mistyped = await run('status', '--cloud', 'site-b');
    expect(mistyped.stderr).toContain('Did you mean site-a?');
    const noLogin = await run('status', '--cloud', 'site-a');
    expect([codeOf(noLogin), noLogin.code]).toEqual(['login-missing', 3]);
    await writeFile(join(home, 'clouds', 'site-a.json'), '{"xmlrpc": 5}');
    const damaged = await run('status', '--cloud', 'site-a');
    expect([codeOf(damaged), damaged.code]).toEqual(['cloud-file', 3]);
    expect(codeOf(await run('status', '--cloud', '../../etc/x'))).toBe('cloud-unknown');
  });

  it('because the embedded one is stopped: says how it is started', async () => {
    const { saveCloud } = await import('@oneflower/control');
    await writeFile(join(home, 'one_auth'), 'oneadmin:x');
    const url = await nobody();
    const endpoints = {
      xmlrpc: `${url}/RPC2`,
      oneflow: url,
      authFile: join(home, 'one_auth'),
    };
    await saveCloud(home, 'embedded', endpoints);
    const stopped = await runCommandLine({ environment: { ONEFLOWER_HOME: home, HOME: home } }, 'status');
    expect(stopped.code).toBe(3);
    expect(stopped.stderr).toContain('Do: Start it with oneflower cloud start');
  });
});

describe('values that cannot be used', () => {
  it('are reported together, one a line, with exit code 2 and before any cloud is asked', async () => {
    const finished = await runAgainst(
      await nobody(),
      'deploy',
      '--set',
      'FL_NUM_ROUND=3',
      '--set',
      'FL_LOG_LEVEL=LOUD',
    );
    expect(finished.code).toBe(2);
    expect(finished.stderr).toBe(
      [
        'Error: 2 variables are not as they must be.',
        '  There is no variable "FL_NUM_ROUND". Did you mean FL_NUM_ROUNDS?',
        '  FL_LOG_LEVEL="LOUD" is refused: it must be one of DEBUG, INFO, WARNING, ERROR.',
        'Do: Correct what is named; oneflower variables NAME says what a variable takes.',
        '',
      ].join('\n'),
    );
  });

  it.each([
    [['--nodes', 'many'], 'usage'],
    [['--nodes', '0'], 'cardinality-invalid'],
    [['--set', 'FL_NUM_ROUNDS'], 'assignment-invalid'],
    [['-f', 'missing.yml'], 'variables-file'],
    [['bad/name'], 'name-invalid'],
  ])('deploy %j is %s', async (words, code) => {
    const finished = await runAgainst(await nobody(), 'deploy', ...words, '--json');
    expect([codeOf(finished), finished.code]).toEqual([code, 2]);
  });

  it('of a file count less than those of --set', async () => {
    await writeFile(join(home, 'site.yml'), 'FL_NUM_ROUNDS: 5\nFL_LOG_LEVEL: DEBUG\n');
    const finished = await runAgainst(
      await nobody(),
      'deploy',
      '-f',
      'site.yml',
      '-s',
      'FL_NUM_ROUNDS=9',
      '--dry-run',
      '--json',
    );
    expect(finished.code).toBe(0);
    expect(finished.stdout).toContain('"FL_NUM_ROUNDS": "9"');
    expect(finished.stdout).toContain('"FL_LOG_LEVEL": "DEBUG"');
    expect(finished.stdout).toContain('<number of image OneFlower>');
  });

  it('that are secret are masked in a dry run', async () => {
    const words = ['deploy', '--dry-run', '--set', 'FL_JOIN_TOKEN=join-token-0123456789'];
    const finished = await runAgainst(await nobody(), ...words);
    expect(finished.stdout).toContain('"FL_JOIN_TOKEN": "(not shown)"');
    expect(finished.stdout + finished.stderr).not.toContain('join-token-0123456789');
  });
});

describe('progress', () => {
  it('has colours on a terminal, unless NO_COLOR is set, and none elsewhere', async () => {
    const run = (terminal: boolean, more: Record<string, string>) =>
      runCommandLine({ environment: { ONEFLOWER_HOME: home, HOME: home, ...more }, terminal }, 'status');
    expect((await run(true, {})).stderr).toContain('\u001b[31mError:');
    expect((await run(true, { NO_COLOR: '1' })).stderr).toContain('Error: No cloud');
    expect((await run(false, {})).stderr).not.toContain('\u001b');
  });

  it('that is interrupted ends with 130', async () => {
    const url = await serve(() => undefined);
    await writeFile(join(home, 'one_auth'), 'tester:x');
    const environment = {
      ONEFLOWER_HOME: home,
      HOME: home,
      ONE_XMLRPC: `${url}/RPC2`,
      ONEFLOW_URL: url,
      ONE_AUTH: join(home, 'one_auth'),
    };
    const controller = new AbortController();
    const running = runCommandLine({ environment, signal: controller.signal }, 'status', '--json');
    servers[0]?.once('request', () => controller.abort(new Error('interrupted')));
    const interrupted = await running;
    expect([codeOf(interrupted), interrupted.code]).toEqual(['interrupted', 130]);
  });
});
