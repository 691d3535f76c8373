import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FakeClock } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { layoutOf } from '../layout.ts';
import { keptLog } from '../testing/log.ts';
import { fakeSoftware } from '../testing/software.ts';
import { temporaryFolder } from '../testing/temporary.ts';
import { resolveRelease } from './release.ts';

const never = new AbortController().signal;

/** A Python that makes an environment as `venv` does, with a `pip` that behaves as a test wants. */
function python(pip: string): string {
  return `#!/bin/sh
if [ "$2" = venv ]; then
  mkdir -p "$3/bin" "$3/lib/python3.11/site-packages"
  cp "$0" "$3/bin/python"
  exit 0
fi
target=$(dirname "$(dirname "$0")")
${pip}
`;
}

const installs = `printf '#!/bin/sh\\n' > "$target/bin/flower-superlink"; chmod 755 "$target/bin/flower-superlink"; echo "$@" > "$target/asked"`;

async function world(pip: string) {
  const folder = await temporaryFolder();
  const software = await fakeSoftware(folder);
  const baked = join(software, 'versions/1.41.0');
  await writeFile(join(baked, 'bin/python'), python(pip), { mode: 0o755 });
  await mkdir(join(baked, 'lib/python3.11/site-packages'), { recursive: true });
  const clock = new FakeClock();
  const { log, lines } = keptLog(clock);
  const layout = layoutOf(join(folder, 'root'), software);
  for (const path of [layout.state, join(layout.flowerState, 'tmp')]) await mkdir(path, { recursive: true });
  const resolve = (version: string) => resolveRelease(version, { layout, log, clock }, never);
  const warnings = () => lines.filter(line => line.includes('[WARNING]'));
  return { clock, layout, baked, resolve, warnings };
}

describe('resolveRelease', () => {
  it('takes the baked release as it is', async () => {
    const { baked, resolve } = await world('exit 1');
    await expect(resolve('1.41.0')).resolves.toEqual({ version: '1.41.0', bin: join(baked, 'bin') });
  });

  it('installs another one beside it, once', async () => {
    const { layout, resolve, warnings } = await world(installs);
    const expected = { version: '1.40.0', bin: join(layout.versions, '1.40.0/bin') };
    await expect(resolve('1.40.0')).resolves.toEqual(expected);
    await expect(resolve('1.40.0')).resolves.toEqual(expected);
    expect(warnings()).toEqual([]);
    expect(existsSync(join(layout.versions, '1.40.0/lib/python3.11/site-packages/oneflower-shared.pth'))).toBe(true);
  });

  it('unpacks nothing where Flower may write', async () => {
    const { layout, resolve } = await world(`${installs}; echo "$TMPDIR" > "$target/tmpdir"; touch "$TMPDIR/left"`);
    await resolve('1.40.0');
    const used = (await readFile(join(layout.versions, '1.40.0/tmpdir'), 'utf8')).trim();
    expect(used).toBe(join(layout.versions, 'tmp'));
    expect(existsSync(used)).toBe(false);
  });

  it('falls back to the baked one, with one warning that says why', async () => {
    const { layout, resolve, warnings } = await world('echo "no matching distribution" >&2; exit 1');
    await expect(resolve('1.40.9')).resolves.toMatchObject({ version: '1.41.0' });
    expect(warnings()).toHaveLength(1);
    expect(warnings()[0]).toContain(
      'Flower 1.40.9 cannot be installed (no matching distribution): 1.41.0 runs instead',
    );
    expect(existsSync(join(layout.versions, '1.40.9'))).toBe(false);
  });

  it('cuts off an installation that hangs', async () => {
    const { clock, resolve, warnings } = await world('exec sleep 1000');
    const resolved = resolve('1.40.0');
    await expect.poll(() => clock.waiting).toBe(1);
    await clock.advance(240_000);
    await expect(resolved).resolves.toMatchObject({ version: '1.41.0' });
    expect(warnings()[0]).toContain('it took too long');
  });

  it('does not take for installed what a power cut has interrupted', async () => {
    const { layout, resolve } = await world('echo offline >&2; exit 1');
    const bin = join(layout.versions, '1.40.0/bin');
    await mkdir(bin, { recursive: true });
    await writeFile(join(bin, 'flower-superlink'), '', { mode: 0o755 });
    await expect(resolve('1.40.0')).resolves.toMatchObject({ version: '1.41.0' });
  });

  it('says that the image is incomplete', async () => {
    const { clock } = await world('exit 1');
    const layout = layoutOf(await temporaryFolder(), '/no/such/software');
    const surroundings = { layout, log: keptLog(clock).log, clock };
    await expect(resolveRelease('1.41.0', surroundings, never)).rejects.toMatchObject({
      code: 'flower_start_failed',
      message: 'Flower 1.41.0 is not in /no/such/software/versions.',
    });
  });
});
