import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createGzip } from 'node:zlib';
import { FakeClock } from '@oneflower/contract';
import { pack } from 'tar-stream';
import { describe, expect, it } from 'vitest';
import { type Layout, layoutOf } from '../layout.ts';
import { keptLog } from '../testing/log.ts';
import { temporaryFolder } from '../testing/temporary.ts';
import { type AppDeclaration, sourceOf } from './app.ts';
import { assertTakesCheckpoint, Uploads } from './uploads.ts';

async function uploads(): Promise<{ layout: Layout; all: Uploads; left(): Promise<string[]> }> {
  const layout = layoutOf(await temporaryFolder(), '/opt/oneflower');
  await mkdir(layout.runs, { recursive: true });
  const all = new Uploads(layout, undefined, keptLog(new FakeClock()).log);
  return { layout, all, left: () => readdir(layout.runs) };
}

function archive(): Readable {
  const tar = pack();
  tar.entry({ name: 'pyproject.toml' }, '[project]\nname = "mine"\n[tool.flwr.app.config]\nresume-from = ""\n');
  tar.finalize();
  return Readable.from(tar).pipe(createGzip());
}

describe('an uploaded app', () => {
  it('stays when it was handed over, and is removed when nobody needs it', async () => {
    const { all, left } = await uploads();
    const name = await all.take(archive(), async (upload, app) => {
      expect(app).toEqual({ name: 'mine', config: { 'resume-from': '' } });
      // A run that ends at this moment must not take it away.
      await all.keepOnly(new Set());
      return upload;
    });
    expect(await left()).toEqual([name]);
    await all.keepOnly(new Set([name]));
    expect(await left()).toEqual([name]);
    await all.keepOnly(new Set());
    expect(await left()).toEqual([]);
  });

  it('is removed when Flower refuses it, or when it is no archive', async () => {
    const { all, left } = await uploads();
    await expect(all.take(archive(), () => Promise.reject(new Error('bad app')))).rejects.toThrow('bad app');
    await expect(all.take(Readable.from(['junk']), async () => 0)).rejects.toMatchObject({ code: 'archive-refused' });
    expect(await left()).toEqual([]);
  });

  it('is the only thing that is removed', async () => {
    const { layout, all, left } = await uploads();
    for (const name of ['app-anomaly-detection', 'upload-no', '7.log']) await mkdir(join(layout.runs, name));
    await all.keepOnly(new Set());
    expect(await left()).toHaveLength(3);
  });

  it('takes a checkpoint only where it declares the key and has rounds left', () => {
    const config = { 'resume-from': '', 'num-server-rounds': 3 };
    const takes = (declared: AppDeclaration['config'], rounds: unknown, round: number) => () =>
      assertTakesCheckpoint(
        { name: 'mine', config: declared },
        sourceOf(
          { name: 'mine', config: declared },
          'upload',
          rounds === undefined ? [] : [`num-server-rounds=${rounds}`],
        ),
        { runId: '7', round },
      );
    expect(takes(config, undefined, 2)).not.toThrow();
    expect(takes(config, 13, 12)).not.toThrow();
    expect(takes({ 'resume-from': '' }, undefined, 12)).not.toThrow();
    expect(takes({}, undefined, 2)).toThrow(
      expect.objectContaining({ code: 'run-config-refused', remedy: expect.stringContaining('resume-from = ""') }),
    );
    for (const rounds of [undefined, 12]) {
      expect(takes(config, rounds, 12)).toThrow(
        expect.objectContaining({
          code: 'run-config-refused',
          remedy: expect.stringMatching(/N above 12.* oneflower model download NAME 7 --round 12\.$/),
        }),
      );
    }
  });
});
