import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FakeClock, type Framework } from '@oneflower/contract';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { layoutOf } from '../layout.ts';
import { keptLog } from '../testing/log.ts';
import { fakeSoftware } from '../testing/software.ts';
import { temporaryFolder } from '../testing/temporary.ts';
import { resolveRelease } from './resolve.ts';

afterEach(() => void vi.unstubAllEnvs());

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

/** Several VMs of one machine, with releases that they share; `pip` counts its runs. */
async function world(pip: string) {
  const folder = await temporaryFolder();
  const runs = join(folder, 'pip-runs');
  const software = await fakeSoftware(folder);
  const baked = join(software, 'versions/1.41.0');
  await writeFile(join(baked, 'bin/python'), python(`echo run >> '${runs}'\n${pip}`), { mode: 0o755 });
  await mkdir(join(baked, 'lib/python3.11/site-packages'), { recursive: true });
  const clock = new FakeClock();
  const vm = async (name: string) => {
    const { log, lines } = keptLog(clock);
    const layout = layoutOf(join(folder, name), software, join(folder, 'releases'));
    for (const path of [layout.state, join(layout.flowerState, 'tmp')]) await mkdir(path, { recursive: true });
    const resolve = (version: string, signal = never, framework: Framework = 'sklearn') =>
      resolveRelease({ version, framework }, { layout, log, clock }, signal);
    const warnings = () => lines.filter(line => line.includes('[WARNING]'));
    return { layout, lines, resolve, warnings };
  };
  const pipRuns = async () => (await readFile(runs, 'utf8').catch(() => '')).split('\n').length - 1;
  return { folder, clock, baked, vm, pipRuns, ...(await vm('root')) };
}

/** A pip that waits for the file `go` beside the releases before it installs. */
const held = `until [ -e "$target/../../go" ]; do sleep 0.02; done; ${installs}`;

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
    expect(used).toBe(join(layout.versions, '.1.40.0.tmp'));
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

  it('lets one VM of a machine install what the others take', async () => {
    const { vm, pipRuns, clock } = await world(held);
    const [one, other] = [await vm('one'), await vm('other')];
    const go = join(one.layout.versions, '..', 'go');
    onTestFinished(() => writeFile(go, '').catch(() => undefined));
    const first = one.resolve('1.40.0');
    await expect.poll(pipRuns).toBe(1);
    const second = other.resolve('1.40.0');
    await expect.poll(() => other.lines.join()).toContain('Another VM of this machine is installing Flower 1.40.0');
    await writeFile(go, '');
    const expected = { version: '1.40.0', bin: join(one.layout.versions, '1.40.0/bin') };
    await expect(Promise.all([first, second])).resolves.toEqual([expected, expected]);
    expect(await pipRuns()).toBe(1);
    expect(other.warnings()).toEqual([]);
    expect(clock.waiting).toBe(0);
  });

  it('does not wait for a VM that died while it installed', async () => {
    const { layout, resolve } = await world(installs);
    await mkdir(layout.versions, { recursive: true });
    const file = join(layout.versions, '.1.40.0.lock');
    const holder = spawn('flock', ['--no-fork', file, 'sleep', '1000'], { stdio: 'ignore' });
    await expect.poll(() => existsSync(file)).toBe(true);
    holder.kill('SIGKILL');
    await expect(resolve('1.40.0')).resolves.toMatchObject({ version: '1.40.0' });
  });

  it('gives up waiting for a VM that does not come to an end, and remembers no failure', async () => {
    const { clock, layout, lines, resolve, warnings, pipRuns } = await world(installs);
    await mkdir(layout.versions, { recursive: true });
    const file = join(layout.versions, '.1.40.0.lock');
    const holder = spawn('flock', ['--no-fork', file, 'sleep', '1000'], { stdio: 'ignore' });
    onTestFinished(() => void holder.kill('SIGKILL'));
    await expect.poll(() => spawnSync('flock', ['--nonblock', file, 'true']).status).toBe(1);
    const resolved = resolve('1.40.0');
    await expect.poll(() => lines.join()).toContain('Another VM');
    await clock.advance(240_000);
    await expect(resolved).resolves.toMatchObject({ version: '1.41.0' });
    expect(warnings()).toHaveLength(1);
    holder.kill('SIGKILL');
    await expect(resolve('1.40.0')).resolves.toMatchObject({ version: '1.40.0' });
    expect(await pipRuns()).toBe(1);
  });

  describe('after an installation that failed', () => {
    const fails = 'echo "no matching distribution" >&2; exit 1';

    it('leaves the release alone for an hour, in all VMs, and says why', async () => {
      const { clock, resolve, vm, pipRuns } = await world(fails);
      await resolve('1.40.9');
      await clock.advance(12 * 60_000);
      const { resolve: again, warnings } = await vm('other');
      await expect(again('1.40.9')).resolves.toMatchObject({ version: '1.41.0' });
      expect(await pipRuns()).toBe(1);
      expect(warnings()).toEqual([
        expect.stringContaining(
          'Flower 1.40.9 cannot be installed (no matching distribution; this was 12 min ago, and a boot in 48 min or later tries again): 1.41.0 runs instead.',
        ),
      ]);
      await clock.advance(48 * 60_000);
      await again('1.40.9');
      expect(await pipRuns()).toBe(2);
    });

    it('tries another version at once', async () => {
      const { resolve, pipRuns } = await world(fails);
      await resolve('1.40.9');
      await resolve('1.40.8');
      expect(await pipRuns()).toBe(2);
    });

    it('tries again at once when pip is set up otherwise', async () => {
      const { folder, resolve, pipRuns } = await world(fails);
      await resolve('1.40.9');
      vi.stubEnv('PIP_INDEX_URL', 'https://mirror.example/simple');
      await resolve('1.40.9');
      expect(await pipRuns()).toBe(2);
      vi.stubEnv('PIP_CONFIG_FILE', join(folder, 'pip.conf'));
      await resolve('1.40.9');
      await writeFile(join(folder, 'pip.conf'), '[global]\ntimeout = 60\n');
      await resolve('1.40.9');
      await resolve('1.40.9');
      expect(await pipRuns()).toBe(4);
    });

    it('tries again when the note is damaged, or from a time to come', async () => {
      const { clock, layout, resolve, pipRuns } = await world(fails);
      await clock.advance(1000);
      await resolve('1.40.9');
      const [name = ''] = (await readdir(layout.versions)).filter(file => file.endsWith('.failed.json'));
      const file = join(layout.versions, name);
      const note = JSON.parse(await readFile(file, 'utf8'));
      for (const text of ['{', JSON.stringify({ ...note, at: note.at + 60_000 })]) {
        await writeFile(file, text);
        await resolve('1.40.9');
      }
      expect(await pipRuns()).toBe(3);
    });

    it('remembers nothing of an agent that was ended in the middle', async () => {
      const { resolve, pipRuns } = await world('exec sleep 1000');
      const ended = new AbortController();
      const resolved = resolve('1.40.9', ended.signal);
      await expect.poll(pipRuns).toBe(1);
      ended.abort(new Error('SIGTERM received'));
      await expect(resolved).rejects.toThrow('SIGTERM received');
      const again = new AbortController();
      const second = resolve('1.40.9', again.signal);
      await expect.poll(pipRuns).toBe(2);
      again.abort(new Error('over'));
      await expect(second).rejects.toThrow('over');
    });
  });

  describe('with another framework', () => {
    /** A whole environment of PyTorch beside the baked one. */
    async function withPytorch(pip: string) {
      const stage = await world(pip);
      const pytorch = join(stage.baked, '../1.41.0-pytorch');
      await cp(stage.baked, pytorch, { recursive: true });
      return { ...stage, pytorch };
    }

    it('takes the environment of that framework', async () => {
      const { pytorch, resolve } = await withPytorch('exit 1');
      const expected = { version: '1.41.0', bin: join(pytorch, 'bin') };
      await expect(resolve('1.41.0', never, 'pytorch')).resolves.toEqual(expected);
    });

    it('installs another release beside it, which shares the libraries of the framework', async () => {
      const { pytorch, layout, resolve } = await withPytorch(installs);
      const expected = { version: '1.40.0', bin: join(layout.versions, '1.40.0-pytorch/bin') };
      await expect(resolve('1.40.0', never, 'pytorch')).resolves.toEqual(expected);
      const shared = join(layout.versions, '1.40.0-pytorch/lib/python3.11/site-packages/oneflower-shared.pth');
      expect(await readFile(shared, 'utf8')).toBe(`${join(pytorch, 'lib/python3.11/site-packages')}\n`);
      await expect(resolve('1.40.0')).resolves.toMatchObject({ bin: join(layout.versions, '1.40.0/bin') });
    });

    it('falls back to the baked release of that framework', async () => {
      const { pytorch, resolve, warnings } = await withPytorch('echo offline >&2; exit 1');
      await expect(resolve('1.40.9', never, 'pytorch')).resolves.toMatchObject({ bin: join(pytorch, 'bin') });
      expect(warnings()).toHaveLength(1);
    });

    it('never runs in the environment of another one', async () => {
      const { layout, resolve, pipRuns } = await withPytorch(installs);
      const { versions } = layout.software;
      await expect(resolve('1.41.0', never, 'tensorflow')).rejects.toMatchObject({
        code: 'framework_missing',
        message: `ML_FRAMEWORK=tensorflow has no Python environment here: 1.41.0-tensorflow is not in ${versions}.`,
        remedy: expect.stringMatching(/oneflower deploy.*the image of that framework/),
        fault: 'user',
      });
      await expect(resolve('1.40.0', never, 'tensorflow')).rejects.toMatchObject({
        message: expect.stringContaining(`neither 1.40.0-tensorflow nor 1.41.0-tensorflow is in ${versions}`),
      });
      expect(await pipRuns()).toBe(0);
    });
  });

  it('says that the image is incomplete', async () => {
    const { clock } = await world('exit 1');
    const layout = layoutOf(await temporaryFolder(), '/no/such/software');
    const surroundings = { layout, log: keptLog(clock).log, clock };
    await expect(
      resolveRelease({ version: '1.41.0', framework: 'sklearn' }, surroundings, never),
    ).rejects.toMatchObject({
      code: 'flower_start_failed',
      message: 'Flower 1.41.0 is not in /no/such/software/versions.',
    });
  });
});
