import { describe, expect, it } from 'vitest';
import { flowerOwner, readOptions } from './options.ts';
import { agentVersion } from './version.ts';

describe('readOptions', () => {
  it('reads the command line, with defaults of a VM', () => {
    expect(readOptions(['--root', '/', '--context', '/mnt'])).toEqual({
      root: '/',
      context: '/mnt',
      address: undefined,
      software: '/opt/oneflower',
      flowerUser: 'flower',
    });
  });

  it('reads where guests of one machine share what they install', () => {
    const args = ['--root', '/vm/1', '--context', '/vm/1/context', '--releases', '/srv/releases'];
    expect(readOptions(args)).toMatchObject({ releases: '/srv/releases' });
  });

  it.each([
    [[]],
    [['--root', '/']],
    [['--root', '/', '--context', '/mnt', '--address', 'here']],
    [['--root', '/', '--context', '/mnt', '--verbose']],
    [['--root', '/', '--context', '/mnt', 'more']],
  ])('refuses %j and says how to call it', args => {
    expect(() => readOptions(args)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining('--root DIR --context DIR') }),
    );
  });
});

describe('flowerOwner', () => {
  it('is the user of that name where the agent is root, else the agent itself', async () => {
    const isRoot = process.getuid?.() === 0;
    const missing = flowerOwner('no-such-user');
    if (isRoot) await expect(missing).rejects.toMatchObject({ code: 'usage' });
    else await expect(missing).resolves.toBeUndefined();
    await expect(flowerOwner('root')).resolves.toEqual(isRoot ? { uid: 0, gid: 0 } : undefined);
  });
});

it('says the version of its package', async () => {
  const { default: manifest } = await import('../package.json', { with: { type: 'json' } });
  expect(agentVersion).toBe(manifest.version);
});
