import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@oneflower/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Contents, ensureEnvironment } from './environment.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'oneflower-environment-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const contents: Contents = {
  title: 'Flower with a framework',
  lockFiles: [],
  megabytes: { download: 1, unpacked: 1 },
  modules: ['flwr'],
};

/** A Python whose `venv` copies it and whose pip notes its calls, says `config` of itself and then does `install`. */
async function world({ install = ':', config = ':', imports = 'exit 0' } = {}) {
  const file = join(folder, 'python');
  const calls = join(folder, 'calls');
  const script = `#!/bin/sh
case "$1 $2 $3" in
"-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip config") ${config} ;;
"-m pip install") echo "$PIP_EXTRA_INDEX_URL $TMPDIR" >> '${calls}'; ${install} ;;
"-c import "*) ${imports} ;;
esac
`;
  await writeFile(file, script, { mode: 0o755 });
  const lockFile = join(folder, 'some.lock');
  await writeFile(lockFile, 'flwr==1.41.0\ntorch==2.13.0\n');
  const clock = new FakeClock();
  const ensure = async (changes: Partial<Contents> = {}, said: string[] = []) =>
    ensureEnvironment({
      folder: join(folder, 'environments'),
      python: { file, release: '3.11' },
      contents: { ...contents, lockFiles: [lockFile], ...changes },
      notify: message => said.push(message),
      clock,
    });
  const installs = async () => (await readFile(calls, 'utf8').catch(() => '')).split('\n').slice(0, -1);
  return { clock, ensure, installs, lockFile };
}

/** Waits for the file `go` in the test's folder. */
const waits = () => `until [ -e '${folder}/go' ]; do sleep 0.02; done`;

describe('ensureEnvironment', () => {
  it('makes it once for each content', async () => {
    const { ensure, installs, lockFile } = await world();
    const first = await ensure();
    expect(await ensure()).toBe(first);
    expect(await installs()).toHaveLength(1);
    await writeFile(lockFile, 'flwr==1.40.0\n');
    expect(await ensure()).not.toBe(first);
    expect(await readdir(join(folder, 'environments'))).not.toContainEqual(expect.stringMatching(/\.tmp$/));
  });

  it('lets one of two commands install, and the other one wait and take what it made', async () => {
    const { ensure, installs } = await world({ install: waits() });
    const said: string[] = [];
    const first = ensure();
    await expect.poll(installs).toHaveLength(1);
    const second = ensure({}, said);
    await expect.poll(() => said).toEqual(['Another command is installing Flower with a framework: waiting for it']);
    await writeFile(join(folder, 'go'), '');
    expect(await second).toBe(await first);
    expect(await installs()).toHaveLength(1);
  });

  it('says how much it will take, how far it is, and how long it took', async () => {
    const words = ['Collecting flwr==1.41.0', 'Collecting torch==2.13.0', '  Downloading torch-2.13.0.whl (188.4 MB)'];
    const heard = `touch '${folder}/heard'`;
    const install = `${words.map(line => `echo '${line}'`).join('; ')}; ${heard}; ${waits()}; echo 'Installing collected packages: flwr, torch'`;
    const { ensure, clock } = await world({ install });
    const said: string[] = [];
    const made = ensure({ megabytes: { download: 20, unpacked: 30 } }, said);
    await expect.poll(() => existsSync(join(folder, 'heard'))).toBe(true);
    await expect
      .poll(async () => {
        await clock.advance(15_000);
        return said;
      })
      .toContainEqual(
        expect.stringMatching(
          /^Flower with a framework: package 2 of 2: torch \(188\.4 MB\); \d+ of about 30 MB unpacked$/,
        ),
      );
    await writeFile(join(folder, 'go'), '');
    await made;
    expect(said[0]).toMatch(
      /^Installing Flower with a framework once for this machine: about 20 MB to fetch, 30 MB in .*; this takes some minutes$/,
    );
    expect(said.at(-1)).toMatch(/^Flower with a framework is installed after \d+ s$/);
    expect(clock.waiting).toBe(0);
  });

  it('leaves nothing that looks finished when pip fails, and begins anew', async () => {
    const { ensure, installs } = await world({
      install: `[ -e '${folder}/go' ] || { echo 'no matching distribution' >&2; exit 1; }`,
    });
    await expect(ensure()).rejects.toMatchObject({
      code: 'python-packages',
      reason: expect.stringContaining('no matching distribution'),
    });
    await writeFile(join(folder, 'go'), '');
    const environment = await ensure();
    expect(existsSync(join(environment, '.finished'))).toBe(true);
    expect(await installs()).toHaveLength(2);
  });

  it('does not take for whole what cannot be imported', async () => {
    const { ensure } = await world({ imports: 'echo "libcudart.so.12: cannot open" >&2; exit 1' });
    const failed = { code: 'python-packages', reason: expect.stringContaining('libcudart.so.12') };
    await expect(ensure()).rejects.toMatchObject(failed);
    await expect(ensure()).rejects.toMatchObject(failed);
  });

  it('asks for disk space before it begins', async () => {
    const { ensure, installs } = await world();
    await expect(ensure({ megabytes: { download: 1, unpacked: 1_000_000_000 } })).rejects.toMatchObject({
      code: 'disk-space',
      message: expect.stringMatching(/^Flower with a framework needs about 1000000.0 GB in .* are free\.$/),
      remedy: expect.stringContaining('ONEFLOWER_HOME'),
    });
    expect(await installs()).toEqual([]);
  });

  it('asks a further index only where pip is not set up for another source than PyPI', async () => {
    const index = 'https://index.example/cpu';
    const plain = await world();
    const temporary = `${await plain.ensure({ index })}.tmp`;
    expect(await plain.installs()).toEqual([`${index} ${temporary}`]);
    await rm(join(folder, 'environments'), { recursive: true });
    await rm(join(folder, 'calls'));
    const mirrored = await world({ config: `echo "global.index-url='https://mirror.example/simple'"` });
    await mirrored.ensure({ index });
    expect(await mirrored.installs()).toEqual([` ${temporary}`]);
  });
});
