import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Guest } from '../guest.ts';
import { checkpointsOf } from '../layout.ts';
import type { FlowerSetting } from '../supervision/flower.ts';
import { keptLog } from '../testing/log.ts';
import { fakeSoftware } from '../testing/software.ts';
import { ModelFiles, removeLeftExports } from './model-files.ts';
import { keepModel } from './models.ts';
import { source, world, writeCheckpoint } from './testing.ts';

const checkpointText = (round: number) => `arrays of 7 after ${round}`;

/** A service with the run 7, and a Python that does what a test wants. */
async function service(python: string, app = 'anomaly-detection') {
  const all = await world({ FL_USE_CASE: 'none' });
  const { layout, settings, keeper } = all;
  const software = await fakeSoftware(layout.root);
  const bin = join(layout.root, 'bin');
  const apps = join(software, 'apps');
  await mkdir(bin, { recursive: true });
  await mkdir(join(apps, 'anomaly-detection'), { recursive: true });
  await writeFile(join(apps, 'anomaly-detection/pyproject.toml'), '[project]');
  const script = `#!/bin/sh\nprintf '%s ' "$@" > "${layout.root}/called"\nwhile [ "$1" != --output ]; do shift; done\n${python}\n`;
  await writeFile(join(bin, 'python'), script);
  await chmod(join(bin, 'python'), 0o755);
  const here = { ...layout, software: { ...layout.software, apps } };
  const guest = { layout: here, settings, owner: undefined, release: { version: '1.41.0', bin } } as unknown as Guest;
  const setting: FlowerSetting = {
    ...{ layout: here, settings, version: '1.41.0', bin, loopback: '127.0.0.1', owner: undefined },
  };
  await keeper.add('7', { app, by: 'operator', source });
  const root = checkpointsOf(layout, settings) ?? '';
  for (const round of [1, 2, 3]) {
    await writeCheckpoint(root, '7', round, {
      ...{ is_best: round === 2, best: { round: 2, metric: 'loss', value: 0.5 } },
      ...{ node_examples: { '1': 40 }, details: { columns: ['a'] }, metrics: { loss: 1, privacy_epsilon: 2 } },
      privacy: { privacy_clipping_norm: 1.5 },
    });
  }
  const models = new ModelFiles({ guest, flower: () => setting, keeper });
  async function read(...[which, format]: [Parameters<ModelFiles['open']>[1], Parameters<ModelFiles['open']>[2]]) {
    const { file, bytes, sha256, ending, close } = await models.open('7', which, format);
    const text = await file.readFile('utf8');
    await close();
    expect([bytes, sha256]).toEqual([Buffer.byteLength(text), createHash('sha256').update(text).digest('hex')]);
    return { text, ending };
  }
  const left = async () => (await readdir(layout.runs)).filter(name => name.startsWith('export-'));
  return { ...all, models, read, left, guest };
}

describe('the final model', () => {
  it('is given as it is kept', async () => {
    const { models, read, layout, clock } = await service('exit 1');
    await writeFile(join(layout.appModels, '7.npz'), 'weights');
    await writeFile(join(layout.appModels, '7.json'), '{"columns":["a"]}');
    const written = { run_id: '7', file: '7.npz', round: 3, metrics: {} };
    await keepModel({ layout, log: keptLog(clock).log }, written, {
      app: 'anomaly-detection',
      flowerVersion: '1.41.0',
      savedAt: '2026',
    });
    expect(await read('final', 'npz')).toEqual({ text: 'weights', ending: '.npz' });
    expect(await models.describe('7', 'final')).toMatchObject({ runId: '7', round: 3, details: { columns: ['a'] } });
  });

  it('that could not be written is that of the checkpoint of the end', async () => {
    const { models, read, layout, settings } = await service('cp model.npz "$2"');
    await writeCheckpoint(checkpointsOf(layout, settings) ?? '', '7', 5, { is_final: true });
    expect(await models.describe('7', 'final')).toMatchObject({ runId: '7', round: 5, file: 'round-000005.npz' });
    expect(await read('final', 'npz')).toEqual({ text: checkpointText(5), ending: '.npz' });
  });

  it('is told from none', async () => {
    const { models } = await service('exit 1');
    await expect(models.open('7', 'final', 'npz')).rejects.toMatchObject({
      ...{ code: 'model-unknown', fault: 'user' },
      ...{ message: 'Run 7 has left no final model.', reason: 'There are those of the rounds 1, 2, 3.' },
    });
    await expect(models.open('8', 'final', 'npz')).rejects.toMatchObject({ code: 'run-unknown' });
    await expect(models.open('8', 'best', 'npz')).rejects.toMatchObject({ code: 'run-unknown' });
  });
});

describe('the model of a round', () => {
  it('is described by its checkpoint', async () => {
    const { models } = await service('exit 1');
    expect(await models.describe('7', 'best')).toMatchObject({
      ...{ runId: '7', app: 'anomaly-detection', round: 2, file: 'round-000002.npz', bytes: checkpointText(2).length },
      details: {
        ...{ strategy: 'FedAvg', num_rounds: 5, node_examples: { '1': 40 } },
        privacy: { privacy_clipping_norm: 1.5, privacy_epsilon: 2 },
        columns: ['a'],
      },
    });
    expect(await models.describe('7', 3)).toMatchObject({ round: 3 });
    await expect(models.describe('7', 4)).rejects.toMatchObject({
      code: 'model-unknown',
      reason: 'There are those of the rounds 1, 2, 3.',
    });
  });

  it('is had of a run of an earlier VM too', async () => {
    const { models, layout, settings } = await service('exit 1');
    await writeCheckpoint(checkpointsOf(layout, settings) ?? '', '3', 12);
    expect(await models.describe('3', 12)).toMatchObject({ runId: '3', app: 'anomaly-detection', round: 12 });
  });

  it('is made by the code of its app, and nothing is left behind', async () => {
    const made = await service('cat model.npz manifest.json > "$2"; test -f app/pyproject.toml');
    const { text, ending } = await made.read('best', 'joblib');
    expect([text.startsWith(checkpointText(2)), text.includes('"columns":["a"]'), ending]).toEqual([
      true,
      true,
      '.joblib',
    ]);
    expect(await made.left()).toEqual([]);
  });

  it('that is a folder comes as an archive', async () => {
    const { models } = await service('mkdir "$2"; echo adapter > "$2/adapter_config.json"');
    const { file, ending, close } = await models.open('7', 2, 'peft');
    expect([ending, (await file.readFile()).subarray(0, 2)]).toEqual(['.tar.gz', Buffer.from([0x1f, 0x8b])]);
    await close();
  });

  it.each([
    ['echo "This environment lacks torch" >&2; exit 3', 'framework-missing', 'lacks torch'],
    ['echo first >&2; echo "no such form" >&2; exit 1', 'model-export-failed', 'no such form'],
    ['exit 0', 'model-export-failed', 'ENOENT'],
    ['ln -s /etc/passwd "$2"', 'model-export-failed', 'ELOOP'],
  ])('is refused in clear words: %s', async (python, code, words) => {
    const { models, left } = await service(python);
    await expect(models.open('7', 2, 'pt')).rejects.toMatchObject({
      ...{ code, message: expect.stringContaining(words), remedy: expect.stringContaining('npz') },
    });
    expect(await left()).toEqual([]);
  });

  it('of an own app is had as arrays only', async () => {
    const { models, read } = await service('cp model.npz "$2"', 'own');
    await expect(models.open('7', 2, 'pt')).rejects.toMatchObject({ code: 'model-format-unknown', fault: 'user' });
    expect(await read(2, 'npz')).toEqual({ text: checkpointText(2), ending: '.npz' });
  });

  it('of an app whose name leads elsewhere takes nothing from there along', async () => {
    const { read, guest } = await service('test -e app/key && exit 9; cp model.npz "$2"', '../secret');
    await mkdir(join(guest.layout.software.apps, '../secret'));
    await writeFile(join(guest.layout.software.apps, '../secret/key'), 'secret');
    expect(await read(2, 'npz')).toEqual({ text: checkpointText(2), ending: '.npz' });
  });

  it('says so when the code of its app cannot be copied', async () => {
    const { models, guest, left } = await service('cp model.npz "$2"');
    await rm(guest.layout.software.apps, { recursive: true });
    await expect(models.open('7', 2, 'pt')).rejects.toMatchObject({ code: 'model-export-failed' });
    expect(await left()).toEqual([]);
  });

  it('is there when its program has ended, whatever that has left running', async () => {
    const { read } = await service('sleep 40 &\ncp model.npz "$2"');
    expect(await read(2, 'npz')).toMatchObject({ text: checkpointText(2) });
  });

  it('is made by a process that ends before others when memory is short', async () => {
    const { read } = await service('cat /proc/self/oom_score_adj > "$2"');
    expect(await read(2, 'npz')).toMatchObject({ text: '1000\n' });
  });

  it('leaves nothing behind when the agent dies', async () => {
    const { layout, guest, left } = await service('exit 1');
    await mkdir(join(layout.runs, 'export-0123456789ab/app'), { recursive: true });
    await removeLeftExports(guest);
    expect(await left()).toEqual([]);
  });
});
