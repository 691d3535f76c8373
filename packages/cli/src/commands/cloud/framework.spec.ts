import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { OneFlowerError } from '@oneflower/contract';
import { embeddedCloud, saveCloud } from '@oneflower/control';
import { startDaemon, stopDaemon } from '@oneflower/minicloud';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Surroundings } from '../../context.ts';
import { agentCommand } from '../../runtime/agent-command.ts';
import { runCommandLine } from '../../testing/command-line.ts';
import { openStage } from '../../testing/stage.ts';

const withPytorch = ['--set', 'ML_FRAMEWORK=pytorch'];
const full = new OneFlowerError({ code: 'disk-space', message: 'PyTorch needs 2 GB.', remedy: 'Free space.' });

/** Notes what is asked for, and has no space for it. */
function recorder() {
  const asked: string[][] = [];
  const ensureFramework: Surroundings['ensureFramework'] = (framework, software) => {
    asked.push([framework, software]);
    return Promise.reject(full);
  };
  return { asked, ensureFramework };
}

describe('a framework on the embedded cloud of this machine', () => {
  let home: string;
  let directory: string;
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'oneflower-cli-'));
    directory = join(home, 'embedded');
  });
  afterEach(async () => {
    await stopDaemon({ directory });
    await rm(home, { recursive: true, force: true });
  });

  async function begin(driver: 'process' | 'dummy') {
    const software = { software: '/guests/software', agentBundle: '/agent.mjs', releases: '/r', flowerUser: 'nobody' };
    const { endpoints } = await startDaemon({ directory, driver, agentCommand: agentCommand(software) });
    await saveCloud(home, embeddedCloud, endpoints);
    const { asked, ensureFramework } = recorder();
    const run = (...words: string[]) =>
      runCommandLine({ environment: { ONEFLOWER_HOME: home, HOME: home }, ensureFramework }, ...words);
    return { asked, run };
  }

  it('is made before anything of a deployment is, for the software that its guests have', async () => {
    const { asked, run } = await begin('process');
    const { code, document } = await run('deploy', ...withPytorch, '--json');
    expect(code).not.toBe(0);
    expect(document().error).toMatchObject({ code: 'disk-space', details: { left: [] } });
    expect(asked).toEqual([['pytorch', '/guests/software']]);
    expect((await run('status', '--json')).document()).toMatchObject({ services: [] });
  });

  it('is made beforehand when cloud start is told to', async () => {
    const { asked, run } = await begin('process');
    const frameworks = ['--framework', 'pytorch', '--framework', 'tensorflow'];
    expect((await run('cloud', 'start', ...frameworks)).stderr).toContain('PyTorch needs 2 GB.');
    expect(asked).toEqual([['pytorch', '/guests/software']]);
  });

  it('is not made for scikit-learn, nor where VMs run nothing', async () => {
    const { asked, run } = await begin('dummy');
    expect((await run('cloud', 'start', '--framework', 'pytorch')).code).toBe(0);
    await run('deploy', ...withPytorch, '--ready-within', '1');
    expect(asked).toEqual([]);
  });
});

it('a deployment on any other cloud makes no environment on this machine', async () => {
  const stage = await openStage();
  try {
    const { asked, ensureFramework } = recorder();
    const { code, stderr } = await stage.runWith({ ensureFramework }, 'deploy', ...withPytorch);
    expect(code, stderr).toBe(0);
    expect(asked).toEqual([]);
  } finally {
    await stage.close();
  }
});
