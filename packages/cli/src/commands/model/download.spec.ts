import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelManifest } from '@oneflower/contract';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runSummary } from '../../testing/operator-server.ts';
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

it('the model of a run that could not write it comes from its last checkpoint', async () => {
  stage.operator.runs = [runSummary({ runId: '7' })];
  stage.operator.checkpointed.push({ ...manifestOf(Buffer.from('arrays and moments')), file: 'round-000001.npz' });
  stage.operator.modelFiles.set('7', Buffer.from('arrays'));
  const downloaded = await stage.run('model', 'download', '--json');
  expect(downloaded.document()).toMatchObject({ path: join(stage.home, 'sensors-7.npz'), bytes: 6 });
  const unknown = await stage.run('model', 'download', 'sensors', '66', '--json');
  expect(unknown.document()).toMatchObject({ error: { details: { code: 'model-unknown' } } });
});

it('models come with their card', async () => {
  const content = Buffer.from('arrays');
  stage.operator.models = [{ ...manifestOf(content), details: { strategy: 'FedProx', node_examples: { '1': 40 } } }];
  stage.operator.modelFiles.set('7', content);
  expect((await stage.run('model', 'download', '-o', 'out/m.npz')).code).toBe(0);
  expect((await readdir(join(stage.home, 'out'))).sort()).toEqual(['m.card.json', 'm.card.md', 'm.npz']);
  expect(await readFile(join(stage.home, 'out/m.card.md'), 'utf8')).toContain('- Strategy: FedProx');
  const card = JSON.parse(await readFile(join(stage.home, 'out/m.card.json'), 'utf8'));
  expect(card).toMatchObject({ runId: '7', nodeExamples: { '1': 40 }, file: { format: 'npz', bytes: 6 } });
});

it('a model of many columns and rounds comes with a card of all rounds', async () => {
  const content = Buffer.from('arrays');
  const columns = Array.from({ length: 1200 }, (_, place) => `sensor_temperature_${place}`);
  const metrics = Object.fromEntries(Array.from({ length: 30 }, (_, place) => [`metric_${place}`, place / 7]));
  const history = Array.from({ length: 1000 }, (_, place) => ({
    round: place + 1,
    metrics,
    seconds: 1,
    trained: true,
  }));
  stage.operator.models = [{ ...manifestOf(content), details: { strategy: 'FedAvg', columns, history } }];
  stage.operator.modelFiles.set('7', content);
  expect((await stage.run('model', 'download')).code).toBe(0);
  const card = JSON.parse(await readFile(join(stage.home, 'sensors-7.card.json'), 'utf8'));
  expect(card.history).toHaveLength(1000);
  expect(card.history[999]).toEqual({ round: 1000, metrics });
  expect(await readFile(join(stage.home, 'sensors-7.card.md'), 'utf8')).toContain('\n| 1000 | 0 |');
});

it('models of other rounds and in other formats are had by name', async () => {
  stage.operator.models = [manifestOf(Buffer.from('arrays'))];
  stage.operator.modelFiles.set('7 best npz', Buffer.from('best'));
  stage.operator.modelFiles.set('7 4 pt', Buffer.from('torch'));
  stage.operator.modelFiles.set('7 final peft', Buffer.from('tar'));
  const best = await stage.run('model', 'download', 'sensors', '7', '--round', 'best', '--json');
  expect(best.document()).toMatchObject({ path: join(stage.home, 'sensors-7-round-3.npz'), bytes: 4 });
  expect((await stage.run('model', 'download', '--round', '4', '-f', 'pt')).code).toBe(0);
  expect(await readFile(join(stage.home, 'sensors-7-round-4.pt'), 'utf8')).toBe('torch');
  expect((await stage.run('model', 'download', '--format', 'peft')).code).toBe(0);
  expect(await readFile(join(stage.home, 'sensors-7.tar.gz'), 'utf8')).toBe('tar');

  const none = await stage.run('model', 'download', '--format', 'joblib', '--json');
  expect(none.document()).toMatchObject({ error: { details: { code: 'framework-missing' } } });
  expect((await stage.run('model', 'download', '--round', 'last')).code).toBe(2);
  expect((await stage.run('model', 'download', '--format', 'exe')).code).toBe(2);
  stage.operator.sha256 = 'f'.repeat(64);
  const damaged = await stage.run('model', 'download', '--round', 'best', '-o', 'x.npz', '--json');
  expect(damaged.document()).toMatchObject({ error: { code: 'model-damaged' } });
  expect(await readdir(stage.home)).not.toContain('x.npz');
});
