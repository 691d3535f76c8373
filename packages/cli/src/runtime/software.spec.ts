import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultFlowerVersion } from '@oneflower/contract';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { agentCommand } from './agent-command.ts';
import { ensureSoftware } from './software.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oneflower-software-'));
  vi.stubEnv('ONEFLOWER_HOME', join(folder, 'home'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

/** A software folder whose Flower lies in an environment of that name. */
async function softwareWith(name: string, environment: string) {
  const software = join(folder, name);
  await mkdir(join(folder, environment), { recursive: true });
  await mkdir(join(software, 'versions'), { recursive: true });
  await symlink(join(folder, environment), join(software, 'versions', defaultFlowerVersion));
  vi.stubEnv('ONEFLOWER_SOFTWARE', software);
  return ensureSoftware(() => undefined);
}

it('all guests install other releases into one folder, which outlives the software but not its environment', async () => {
  const first = await softwareWith('first', 'environment');
  const newer = await softwareWith('newer', 'environment');
  const other = await softwareWith('other', 'another-environment');
  expect(first.releases.startsWith(join(folder, 'home', 'software', 'releases'))).toBe(true);
  expect(newer.releases).toBe(first.releases);
  expect(other.releases).not.toBe(first.releases);
  const { args } = agentCommand(first);
  expect(args[args.indexOf('--releases') + 1]).toBe(first.releases);
});
