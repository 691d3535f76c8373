import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../testing/temporary.ts';
import { readApp, runConfigFrom, sourceOf } from './app.ts';

async function app(config: string) {
  const folder = await temporaryFolder();
  const text = `[project]\nname = "mine"\n[tool.flwr.app]\npublisher = "me"\n${config}\n`;
  await writeFile(join(folder, 'pyproject.toml'), text);
  return readApp(folder);
}

describe('an app', () => {
  it('declares its run configuration, with dotted keys for tables', async () => {
    const declared = await app('[tool.flwr.app.config]\nresume-from = ""\nrate = 0.5\nsmall = true\nmodel.layers = 2');
    expect(declared).toEqual({
      name: 'mine',
      config: { 'resume-from': '', rate: 0.5, small: true, 'model.layers': 2 },
    });
  });

  it.each(['', 'config = 7', '[tool.flwr.app.config'])('declares nothing by %j', async config => {
    expect((await app(config)).config).toEqual({});
  });

  it('that cannot be read has a name all the same', async () => {
    expect(await readApp(join(await temporaryFolder(), 'absent'))).toEqual({ name: 'app', config: {} });
  });
});

describe('the source of a run', () => {
  const config = { 'resume-from': '', 'checkpoint-enabled': true, 'min-available-clients': 2, rate: 0.1 };

  it('has the settings as the app is given them', () => {
    const source = sourceOf({ name: 'mine', config }, null, ['rate=0.5', 'name="a b"', 'min-available-clients=3']);
    expect(source.settings).toEqual({
      ...{ 'checkpoint-enabled': true, 'min-available-clients': 3, rate: 0.5, name: 'a b' },
    });
    expect(source).toMatchObject({ upload: null, resumable: 'yes', leastNodes: 3 });
  });

  it('can be resumed only where the app knows of checkpoints and writes some', () => {
    expect(sourceOf({ name: 'mine', config: {} }, null, []).resumable).toBe('undeclared');
    expect(sourceOf({ name: 'mine', config }, null, ['checkpoint-enabled=false']).resumable).toBe('off');
  });

  it('keeps what is no TOML for Flower to refuse', () => {
    expect(sourceOf({ name: 'mine', config: {} }, null, ['a=b c']).settings).toEqual({ a: 'b c' });
  });

  it('is handed over with one checkpoint, or none', () => {
    const source = sourceOf({ name: 'mine', config }, null, ['rate=0.5', 'resume-from="1/a.npz"']);
    expect(runConfigFrom(source, '')).toEqual(['rate=0.5', 'resume-from="1/a.npz"']);
    expect(runConfigFrom(source, '2/b.npz')).toEqual(['rate=0.5', 'resume-from="2/b.npz"']);
  });
});
