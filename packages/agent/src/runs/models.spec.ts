import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EventData, FakeClock } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { type Layout, layoutOf } from '../layout.ts';
import { keptLog } from '../testing/log.ts';
import { temporaryFolder } from '../testing/temporary.ts';
import { keepModel, listModels, modelFileOf } from './models.ts';

const about = { app: 'anomaly-detection', flowerVersion: '1.41.0', savedAt: '2026-01-01T00:00:00.000Z' };

async function stage() {
  const paths = layoutOf(await temporaryFolder(), '/opt/oneflower');
  await mkdir(paths.appModels, { recursive: true });
  await mkdir(paths.models, { recursive: true });
  const { log, lines } = keptLog(new FakeClock());
  return { paths, parts: { layout: paths, log }, lines };
}

/** An app's model and, as text or as an object, what it tells of it. */
async function leave({ appModels }: Layout, details: unknown): Promise<void> {
  await writeFile(join(appModels, '42.npz'), 'weights');
  await writeFile(join(appModels, '42.json'), typeof details === 'string' ? details : JSON.stringify(details));
}

function written(changes: Partial<EventData<'model_written'>> = {}): EventData<'model_written'> {
  return { run_id: '42', file: '42.npz', round: 3, metrics: { roc_auc: 0.99 }, ...changes };
}

describe('keepModel', () => {
  it('moves the file out of the apps reach and states its checksum', async () => {
    const { paths, parts } = await stage();
    await leave(paths, { arrays: 2 });
    const manifest = await keepModel(parts, written(), about);
    const sha256 = createHash('sha256').update('weights').digest('hex');
    expect(manifest).toMatchObject({ runId: '42', file: 'model.npz', bytes: 7, sha256, round: 3, ...about });
    expect(manifest.details).toEqual({ arrays: 2 });
    const found = await modelFileOf(paths, '42');
    expect(found?.manifest).toEqual(manifest);
    await expect(readFile(found?.path ?? '', 'utf8')).resolves.toBe('weights');
    expect(await readdir(paths.appModels)).toEqual([]);
  });

  it('keeps what is told of many columns and rounds, and lists models without it', async () => {
    const { paths, parts, lines } = await stage();
    const columns = Array.from({ length: 1200 }, (_, place) => `sensor_temperature_${place}`);
    const metrics = Object.fromEntries(Array.from({ length: 30 }, (_, place) => [`metric_${place}`, place / 7]));
    const history = Array.from({ length: 1000 }, (_, place) => ({ round: place + 1, metrics, seconds: 1 }));
    await leave(paths, { columns, history });
    await keepModel(parts, written(), about);
    const found = await modelFileOf(paths, '42');
    expect(found?.manifest.details).toEqual({ columns, history });
    expect(lines).toEqual([]);
    const [listed, ...others] = await listModels(paths);
    expect(others).toEqual([]);
    expect(listed).toMatchObject({ runId: '42', bytes: 7 });
    expect(listed).not.toHaveProperty('details');
  });

  it.each([
    ['missing', (paths: Layout) => rm(join(paths.appModels, '42.json'))],
    ['no JSON', (paths: Layout) => leave(paths, '{"columns":')],
    ['no object', (paths: Layout) => leave(paths, '[1]')],
    ['nested without end', (paths: Layout) => leave(paths, `{"x":${'['.repeat(1e5)}${']'.repeat(1e5)}}`)],
    ['too long', (paths: Layout) => leave(paths, { x: 'x'.repeat(12 * 1024 ** 2) })],
    ['a link', (paths: Layout) => replaced(paths, path => symlink(join(paths.root, 'secret.json'), path))],
    ['a folder', (paths: Layout) => replaced(paths, path => mkdir(path))],
  ])('keeps a model whose details are %s without them, and says so', async (_, spoil) => {
    const { paths, parts, lines } = await stage();
    await writeFile(join(paths.root, 'secret.json'), '{"secret":1}');
    await leave(paths, {});
    await spoil(paths);
    const manifest = await keepModel(parts, written(), about);
    expect(manifest).toMatchObject({ runId: '42', bytes: 7, details: {} });
    expect((await modelFileOf(paths, '42'))?.manifest).toEqual(manifest);
    expect(lines).toEqual([expect.stringMatching(/WARNING.*run 42 tells of its model is not kept/)]);
    expect(existsSync(join(paths.appModels, '42.npz'))).toBe(false);
    expect(existsSync(join(paths.root, 'secret.json'))).toBe(true);
  });

  it('touches nothing behind a link in place of the folder of the models', async () => {
    const { paths, parts } = await stage();
    await mkdir(paths.ca, { recursive: true });
    await writeFile(join(paths.ca, 'ca.key'), 'secret');
    await rm(paths.appModels, { recursive: true });
    await symlink(paths.ca, paths.appModels);
    const keeping = keepModel(parts, written({ file: 'ca.key' }), about);
    await expect(keeping).rejects.toMatchObject({ code: 'model-refused' });
    expect(existsSync(join(paths.ca, 'ca.key'))).toBe(true);
    await expect(listModels(paths)).resolves.toEqual([]);
  });

  it('replaces an earlier model of the same run', async () => {
    const { paths, parts } = await stage();
    for (const text of ['first', 'second']) {
      await writeFile(join(paths.appModels, '42.npz'), text);
      await keepModel(parts, written(), about);
    }
    const found = await modelFileOf(paths, '42');
    await expect(readFile(found?.path ?? '', 'utf8')).resolves.toBe('second');
  });

  it('takes no file from elsewhere', async () => {
    const { paths, parts } = await stage();
    await writeFile(join(paths.root, 'secret'), 'secret');
    await symlink(join(paths.root, 'secret'), join(paths.appModels, 'link.npz'));
    await mkdir(join(paths.appModels, 'folder.npz'));
    for (const file of ['../../../secret', '/etc/passwd', 'link.npz', 'folder.npz', '.hidden', '', 'absent.npz']) {
      await expect(keepModel(parts, written({ file }), about)).rejects.toMatchObject({ code: 'model-refused' });
    }
    for (const run_id of ['..', '../x', '', 'a']) {
      await expect(keepModel(parts, written({ run_id }), about)).rejects.toMatchObject({ code: 'model-refused' });
    }
    await expect(listModels(paths)).resolves.toEqual([]);
  });

  it('counts a folder without a whole manifest as none', async () => {
    const { paths } = await stage();
    await mkdir(join(paths.models, '7'));
    await writeFile(join(paths.models, '7/manifest.json'), '{"runId":');
    await expect(listModels(paths)).resolves.toEqual([]);
    await expect(modelFileOf(paths, '7')).resolves.toBeUndefined();
    await expect(modelFileOf(paths, '../7')).resolves.toBeUndefined();
  });
});

async function replaced({ appModels }: Layout, put: (path: string) => Promise<unknown>): Promise<void> {
  const path = join(appModels, '42.json');
  await rm(path);
  await put(path);
}
