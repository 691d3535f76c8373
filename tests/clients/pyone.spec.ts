import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { EmbeddedCloud } from '../support/embedded-cloud.ts';
import { testSoftware } from '../support/software.ts';

const cloud = new EmbeddedCloud();
afterAll(() => cloud.remove());

it("PyPI's pyone and plain HTTP register, instantiate, scale and delete a service", { timeout: 120_000 }, async () => {
  await cloud.document('cloud', 'start', '--driver', 'dummy');
  const { xmlrpc, oneflow, authFile } = cloud.access;
  const program = join(import.meta.dirname, 'drive_with_pyone.py');
  const { stdout } = await promisify(execFile)(testSoftware().python, [program, xmlrpc, oneflow, authFile]);
  const seen = JSON.parse(stdout);
  expect(seen).toMatchObject({
    version: expect.stringMatching(/^7\./),
    user: 'oneadmin',
    networks: ['oneflower'],
    created: 201,
    instantiated: 201,
    states: [
      [3, 3],
      [3, 3],
    ],
    greetings: ['"hello", world', '"hello", world'],
    note: 'a "note" & more',
    after_scaling: [0, 1, 2],
    wrong_login: 401,
    left: { vms: [], templates: [], finished: [0, 1, 2] },
  });
  expect(new Set(seen.addresses).size).toBe(2);
  expect(seen.scaled).toBeLessThan(300);
  expect(seen.deleted).toBeLessThan(300);
  expect(seen.too_many).toBeGreaterThanOrEqual(400);
  expect(seen.refused).toEqual([
    expect.stringMatching(/^OneAuthenticationException: .*couldn't be authenticated/),
    expect.stringMatching(/^OneNoExistsException: .*999/),
    expect.stringMatching(/^One\w+Exception: .*NAME/),
  ]);
});
