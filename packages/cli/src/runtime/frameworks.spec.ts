import { mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultFlowerVersion, frameworks } from '@oneflower/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureBundled } from './bundled.ts';
import { environmentOf } from './environment.ts';
import { ensureFramework, environments, linkFrameworks, pythonOfEnvironments } from './frameworks.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oneflower-frameworks-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const silent = () => undefined;

/** A finished environment as far as anybody looks at it. */
async function finished(environment: string): Promise<string> {
  await mkdir(join(environment, 'bin'), { recursive: true });
  await writeFile(join(environment, 'bin', 'flower-superlink'), '', { mode: 0o755 });
  await writeFile(join(environment, '.finished'), '');
  return environment;
}

/** A software folder, and a finished environment of PyTorch where its baked one lies. */
async function world() {
  const shared = join(folder, 'environments');
  const python = await pythonOfEnvironments();
  const software = join(folder, 'software');
  await mkdir(join(software, 'versions'), { recursive: true });
  await symlink(await finished(join(shared, 'baked')), join(software, 'versions', defaultFlowerVersion));
  const contents = environments.pytorch;
  const pytorch = await finished(await environmentOf({ folder: shared, python, contents, notify: silent }));
  const link = join(software, 'versions', `${defaultFlowerVersion}-pytorch`);
  return { software, python, pytorch, link };
}

describe('the environment of a framework', () => {
  it('is linked into the software where the machine has it, beside the baked one', async () => {
    const { software, pytorch, link } = await world();
    await ensureFramework('pytorch', software, silent);
    expect(await readlink(link)).toBe(pytorch);
    await ensureFramework('pytorch', software, silent);
    expect(await readdir(join(software, 'versions'))).toEqual([
      defaultFlowerVersion,
      `${defaultFlowerVersion}-pytorch`,
    ]);
  });

  it('is made for no framework that is baked in', async () => {
    const { software } = await world();
    await ensureFramework('sklearn', software, silent);
    expect(await readdir(join(software, 'versions'))).toEqual([defaultFlowerVersion]);
  });

  it('is linked into new software without being asked for, when it is finished', async () => {
    const { software, python, pytorch, link } = await world();
    await linkFrameworks(software, python, silent);
    expect(await readlink(link)).toBe(pytorch);
    expect(await readdir(join(software, 'versions'))).not.toContain(`${defaultFlowerVersion}-tensorflow`);
  });

  it('stays what an image has there', async () => {
    const { software, link } = await world();
    await finished(link);
    await ensureFramework('pytorch', software, silent);
    await expect(readlink(link)).rejects.toThrow('EINVAL');
  });

  it('says that a software folder cannot be written', async () => {
    const { software, link } = await world();
    // Something that a rename does not replace.
    await mkdir(join(link, 'in the way'), { recursive: true });
    await expect(ensureFramework('pytorch', software, silent)).rejects.toMatchObject({
      code: 'software-not-writable',
      remedy: expect.stringContaining(`ln -s`),
    });
    expect(await readdir(join(software, 'versions'))).toHaveLength(2);
  });
});

it.each(frameworks)('the locked packages of %s pin each package once', async framework => {
  const texts = await Promise.all(environments[framework].lockFiles.map(file => readFile(file, 'utf8')));
  const lines = texts.join('').trimEnd().split('\n');
  for (const line of lines) expect(line).toMatch(/^[A-Za-z0-9._-]+==[A-Za-z0-9.]+$/);
  const names = lines.map(line => line.replace(/==.*/, '').toLowerCase().replaceAll(/[._]/g, '-'));
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
});

it('MNIST is brought once, as IDX files that anybody may read', async () => {
  const bundled = join(folder, 'bundled');
  const target = await ensureBundled(bundled);
  const names = ['t10k-images-idx3', 't10k-labels-idx1', 'train-images-idx3', 'train-labels-idx1'];
  expect((await readdir(join(target, 'mnist'))).sort()).toEqual(names.map(name => `${name}-ubyte`));
  const head = (await readFile(join(target, 'mnist', 'train-images-idx3-ubyte'))).subarray(0, 16);
  expect([0, 4, 8, 12].map(offset => head.readUInt32BE(offset))).toEqual([0x803, 60_000, 28, 28]);
  expect(await ensureBundled(bundled)).toBe(target);
  expect(await readdir(bundled)).toHaveLength(1);
});
