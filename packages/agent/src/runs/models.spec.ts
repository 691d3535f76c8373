import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventData } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { type Layout, layoutOf } from '../layout.ts';
import { temporaryFolder } from '../testing/temporary.ts';
import { keepModel, listModels, modelFileOf } from './models.ts';

const about = { app: 'anomaly-detection', flowerVersion: '1.41.0', savedAt: '2026-01-01T00:00:00.000Z' };

async function layout(): Promise<Layout> {
  const made = layoutOf(await temporaryFolder(), '/opt/oneflower');
  await mkdir(made.appModels, { recursive: true });
  await mkdir(made.models, { recursive: true });
  return made;
}

function written(changes: Partial<EventData<'model_written'>> = {}): EventData<'model_written'> {
  return { run_id: '42', file: '42.npz', round: 3, metrics: { roc_auc: 0.99 }, details: { arrays: 2 }, ...changes };
}

describe('keepModel', () => {
  it('moves the file out of the apps reach and states its checksum', async () => {
    const paths = await layout();
    await writeFile(join(paths.appModels, '42.npz'), 'weights');
    const manifest = await keepModel(paths, written(), about);
    const sha256 = createHash('sha256').update('weights').digest('hex');
    expect(manifest).toMatchObject({ runId: '42', file: 'model.npz', bytes: 7, sha256, round: 3, ...about });
    await expect(listModels(paths)).resolves.toEqual([manifest]);
    const found = await modelFileOf(paths, '42');
    expect(found?.manifest).toEqual(manifest);
    await expect(readFile(found?.path ?? '', 'utf8')).resolves.toBe('weights');
    expect(existsSync(join(paths.appModels, '42.npz'))).toBe(false);
  });

  it('touches nothing behind a link in place of the folder of the models', async () => {
    const paths = await layout();
    await mkdir(paths.ca, { recursive: true });
    await writeFile(join(paths.ca, 'ca.key'), 'secret');
    await rm(paths.appModels, { recursive: true });
    await symlink(paths.ca, paths.appModels);
    const keeping = keepModel(paths, written({ file: 'ca.key' }), about);
    await expect(keeping).rejects.toMatchObject({ code: 'model-refused' });
    expect(existsSync(join(paths.ca, 'ca.key'))).toBe(true);
    await expect(listModels(paths)).resolves.toEqual([]);
  });

  it('replaces an earlier model of the same run', async () => {
    const paths = await layout();
    for (const text of ['first', 'second']) {
      await writeFile(join(paths.appModels, '42.npz'), text);
      await keepModel(paths, written(), about);
    }
    const found = await modelFileOf(paths, '42');
    await expect(readFile(found?.path ?? '', 'utf8')).resolves.toBe('second');
  });

  it('takes no file from elsewhere', async () => {
    const paths = await layout();
    await writeFile(join(paths.root, 'secret'), 'secret');
    await symlink(join(paths.root, 'secret'), join(paths.appModels, 'link.npz'));
    await mkdir(join(paths.appModels, 'folder.npz'));
    for (const file of ['../../../secret', '/etc/passwd', 'link.npz', 'folder.npz', '.hidden', '', 'absent.npz']) {
      await expect(keepModel(paths, written({ file }), about)).rejects.toMatchObject({ code: 'model-refused' });
    }
    for (const run_id of ['..', '../x', '', 'a']) {
      await expect(keepModel(paths, written({ run_id }), about)).rejects.toMatchObject({ code: 'model-refused' });
    }
    await expect(listModels(paths)).resolves.toEqual([]);
  });

  it('counts a folder without a whole manifest as none', async () => {
    const paths = await layout();
    await mkdir(join(paths.models, '7'));
    await writeFile(join(paths.models, '7/manifest.json'), '{"runId":');
    await expect(listModels(paths)).resolves.toEqual([]);
    await expect(modelFileOf(paths, '7')).resolves.toBeUndefined();
    await expect(modelFileOf(paths, '../7')).resolves.toBeUndefined();
  });
});
