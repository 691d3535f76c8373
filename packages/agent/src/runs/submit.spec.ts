import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { validate } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { layoutOf } from '../layout.ts';
import type { FlowerSetting } from '../supervision/flower.ts';
import { fakeSoftware } from '../testing/software.ts';
import { temporaryFolder } from '../testing/temporary.ts';
import { copyApp, submitRun, writeConnection } from './submit.ts';

/** A guest whose `flwr` says what a test wants, and keeps how it was called. */
async function guest(flwr: string): Promise<FlowerSetting> {
  const folder = await temporaryFolder();
  const software = await fakeSoftware(folder);
  const bin = join(software, 'versions/1.41.0/bin');
  await writeFile(join(bin, 'flwr'), `#!/bin/sh\nprintf '%s\\n' "$@" > "$HOME/called"\n${flwr}\n`);
  await chmod(join(bin, 'flwr'), 0o755);
  const layout = layoutOf(join(folder, 'root'), software);
  for (const path of [layout.flowerHome, layout.runs]) await mkdir(path, { recursive: true });
  const { settings } = validate({});
  return { layout, settings, version: '1.41.0', bin, loopback: '127.0.0.1', owner: undefined };
}

describe('submitRun', () => {
  it('hands over folder and configuration, and answers the id', async () => {
    const setting = await guest(`echo 'Building'; echo '{"success": true, "run-id": "18446744073709551615"}'`);
    const app = '/some where/$(id)';
    await expect(submitRun(setting, '/', app, ['a=1', 'b="x y"'])).resolves.toBe('18446744073709551615');
    const called = await readFile(join(setting.layout.flowerState, 'called'), 'utf8');
    expect(called.split('\n').slice(0, -1)).toEqual([
      ...['run', app, 'oneflower', '--run-config', 'a=1', '--run-config', 'b="x y"', '--format', 'json'],
    ]);
  });

  it.each([
    [`echo '{"success": false, "error-message": "[code: 15] Invalid run configuration."}'`, '[code: 15]'],
    ['echo "cannot connect" >&2; exit 1', 'cannot connect'],
    ['echo "{"', '{'],
    [`echo '{"success": true, "run-id": "../evil"}'`, 'evil'],
    ['exit 0', 'no word'],
  ])('says what Flower says: %s', async (flwr, words) => {
    await expect(submitRun(await guest(flwr), '/', '/app', [])).rejects.toMatchObject({
      code: 'run-refused',
      message: expect.stringContaining(words),
    });
  });

  it('tells a Flower that is away from one that refuses', async () => {
    const away = 'Connection to the SuperLink is unavailable. Please check your network connection.';
    const flwr = `echo '{"success": false, "error-message": "${away}"}'`;
    await expect(submitRun(await guest(flwr), '/', '/app', [])).rejects.toMatchObject({
      code: 'run-refused',
      message: 'Flower did not answer when the run was handed over.',
      remedy: expect.stringContaining('submit the run again'),
    });
  });
});

describe('what Flower is given', () => {
  it.each([
    ['/certs/ca.crt', 'root-certificates = "/certs/ca.crt"'],
    [undefined, 'insecure = true'],
  ])('is a connection with the CA %s', async (caFile, line) => {
    const { layout } = await guest('');
    await writeConnection(layout, { host: '127.0.0.1', port: 8000 }, caFile, undefined);
    const text = await readFile(join(layout.flowerHome, 'config.toml'), 'utf8');
    expect(text).toContain('address = "127.0.0.1:8000"');
    expect(text).toContain(line);
  });

  it('is a copy of the app, made anew each time', async () => {
    const { layout } = await guest('');
    const app = join(layout.software.apps, 'demo');
    await mkdir(join(app, 'demo/__pycache__'), { recursive: true });
    await writeFile(join(app, 'demo/__pycache__/x.pyc'), '');
    await writeFile(join(app, 'pyproject.toml'), 'first');
    await copyApp(layout, 'demo', undefined);
    await writeFile(join(app, 'pyproject.toml'), 'second');
    const copy = await copyApp(layout, 'demo', undefined);
    await expect(readFile(join(copy, 'pyproject.toml'), 'utf8')).resolves.toBe('second');
    await expect(readFile(join(copy, 'demo/__pycache__/x.pyc'))).rejects.toThrow('ENOENT');
  });
});
