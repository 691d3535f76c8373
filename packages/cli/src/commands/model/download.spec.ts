import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelManifest } from '@oneflower/contract';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openStage, type Stage } from '../../testing/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
  expect((await stage.run('deploy', 'sensors')).code).toBe(0);
});
afterEach(() => stage.close());

function manifestOf(content: Buffer): ModelManifest {
  return {
    runId: '7',
    app: 'anomaly-detection',
    file: 'model-7.npz',
    bytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
    round: 1,
    savedAt: '2026-01-01T00:00:00Z',
    flowerVersion: '1.41.0',
    metrics: {},
    details: {},
  };
}

it('models are downloaded whole or not at all', async () => {
  const content = Buffer.from('model'.repeat(1000));
  stage.operator.models = [manifestOf(content)];
  stage.operator.modelFiles.set('7', content);
  expect((await stage.run('model', 'list')).stdout).toContain('model-7.npz');
  const downloaded = await stage.run('model', 'download');
  expect(downloaded.stdout).toContain('5.0 kB');
  expect(await readFile(join(stage.home, 'sensors-7.npz'))).toEqual(content);

  stage.operator.modelFiles.set('7', Buffer.from(content).fill('x', 3, 4));
  const damaged = await stage.run('model', 'download', '-o', 'out/', '--json');
  expect(damaged.document()).toMatchObject({ error: { code: 'model-damaged' } });
  expect(damaged.code).toBe(1);
  expect(await readdir(join(stage.home, 'out'))).toEqual([]);
});
