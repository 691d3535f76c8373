import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { Scene } from './scene.ts';

/** A bench with a cloud that never ends by itself; it writes a line with the scene's folder and the cloud's process. */
const endless = `
import { join } from 'node:path';
import { startDaemon, stopDaemon } from ${JSON.stringify(new URL('../../packages/minicloud/src/index.ts', import.meta.url).href)};
import { Scene } from ${JSON.stringify(new URL('./scene.ts', import.meta.url).href)};
await Scene.play(async scene => {
  const directory = join(scene.folder, 'cloud');
  scene.atEnd(() => stopDaemon({ directory }));
  const { pid } = await startDaemon({ directory, driver: 'dummy' });
  console.log(JSON.stringify({ folder: scene.folder, pid }));
  await new Promise(() => setInterval(() => undefined, 1000));
});`;

describe('a scene', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('leaves neither process nor folder after %s', async signal => {
    const bench = spawn(process.execPath, ['--input-type=module', '--eval', endless], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(bench.stdout, 'data');
    const told = JSON.parse(String(line));
    bench.kill(signal);
    expect(await once(bench, 'exit')).toEqual([130, null]);
    expect(existsSync(told.folder)).toBe(false);
    expect(existsSync(`/proc/${told.pid}`)).toBe(false);
  });

  it('does its clean-ups, the last one first, before its folder goes, and throws what the bench threw', async () => {
    const said = vi.spyOn(console, 'error').mockReturnValue(undefined);
    const done: string[] = [];
    const played = Scene.play(async scene => {
      scene.atEnd(async () => done.push(`first, folder ${existsSync(scene.folder)}`));
      scene.atEnd(() => Promise.reject(new Error('no end')));
      scene.atEnd(async () => done.push('last'));
      throw new Error('bench');
    });
    await expect(played).rejects.toThrow('bench');
    expect(done).toEqual(['last', 'first, folder true']);
    expect(said).toHaveBeenCalledWith('no end');
  });
});
