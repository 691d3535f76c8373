import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findCloud, forgetCloud, listClouds, saveCloud } from './endpoints.ts';
import { homeFolder } from './home.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'oneflower-clouds-'));
  await writeFile(join(home, 'auth'), 'oneadmin:secret\n');
});
afterEach(() => rm(home, { recursive: true, force: true }));

const find = (environment: Record<string, string> = {}, cloud?: string) =>
  findCloud({ home, environment, cloud, userFolder: home });

async function saveEmbedded(): Promise<void> {
  const authFile = join(home, 'auth');
  await saveCloud(home, 'embedded', {
    xmlrpc: 'http://127.16.0.1:2633/RPC2',
    oneflow: 'http://127.16.0.1:2474',
    authFile,
  });
}

describe('which cloud is meant', () => {
  it('the one that is asked for, whatever the environment says', async () => {
    await saveEmbedded();
    const found = await find({ ONE_XMLRPC: 'http://other/RPC2' }, 'embedded');
    expect(found).toEqual({
      cloud: 'embedded',
      key: 'embedded',
      endpoint: 'http://127.16.0.1:2633/RPC2',
      oneflowUrl: 'http://127.16.0.1:2474',
      user: 'oneadmin',
      session: 'oneadmin:secret',
    });
  });

  it('the one of the environment, even when there is an embedded one', async () => {
    await saveEmbedded();
    const environment = {
      ONE_XMLRPC: 'http://front:2633/RPC2',
      ONEFLOW_URL: 'http://front:2474',
      ONE_AUTH: join(home, 'auth'),
    };
    expect(await find(environment)).toMatchObject({ cloud: 'environment', endpoint: 'http://front:2633/RPC2' });
    const other = await find({ ...environment, ONE_XMLRPC: 'http://back:2633/RPC2' });
    expect(other.key).not.toBe((await find(environment)).key);
  });

  it('the embedded one when nothing is set', async () => {
    await saveEmbedded();
    expect((await find()).cloud).toBe('embedded');
    expect((await find({ ONE_XMLRPC: ' ' })).cloud).toBe('embedded');
  });

  it('that of the stock clients when there is a ~/.one/one_auth', async () => {
    await mkdir(join(home, '.one'));
    await writeFile(join(home, '.one', 'one_auth'), 'tester:x');
    expect(await find()).toMatchObject({
      cloud: 'environment',
      endpoint: 'http://localhost:2633/RPC2',
      user: 'tester',
    });
  });

  it('none', async () => {
    await expect(find()).rejects.toMatchObject({ code: 'cloud-none' });
  });
});

describe('saved clouds', () => {
  it('are listed and forgotten, and only their owner can read them', async () => {
    expect(await listClouds(home)).toEqual([]);
    await saveEmbedded();
    expect(await listClouds(home)).toEqual(['embedded']);
    expect((await stat(join(home, 'clouds', 'embedded.json'))).mode & 0o777).toBe(0o600);
    await forgetCloud(home, 'embedded');
    expect(await listClouds(home)).toEqual([]);
  });

  it('must have addresses of servers', async () => {
    await expect(saveCloud(home, 'x', { xmlrpc: 'ftp://x', oneflow: 'http://x' })).rejects.toThrow();
  });
});

describe('the home folder', () => {
  it.each([
    [{ ONEFLOWER_HOME: '/data' }, 0, '/data'],
    [{}, 0, '/var/lib/oneflower'],
    [{ HOME: '/home/a' }, 1000, '/home/a/.local/share/oneflower'],
    [{ HOME: '/home/a', XDG_DATA_HOME: '/home/a/data' }, 1000, '/home/a/data/oneflower'],
  ])('for %o and user %d is %s', (environment, uid, expected) => {
    expect(homeFolder(environment, uid)).toBe(expected);
  });
});
