import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { defaultFlowerVersion, environmentName, type Framework } from '../../packages/contract/src/index.ts';
import { EmbeddedCloud } from '../support/embedded-cloud.ts';
import { findProcess } from '../support/processes.ts';
import { loadsAdapters, loadsImages, loadsKeras, loadsSensors } from './plain-loading.ts';

/** The environment of a framework may have to be made first. */
const withInstallation = 1_500_000;

const apps = join(import.meta.dirname, '..', '..', 'flower', 'apps');
/** Where the network of images is. */
const networks = join(apps, 'image-classification', 'image_classification');

const deployments = [
  { name: 'images', framework: 'pytorch', useCase: 'image-classification', rounds: 2, form: 'pt', loads: loadsImages },
  { name: 'sensors', framework: 'pytorch', useCase: 'anomaly-detection', rounds: 2, form: 'pt', loads: loadsSensors },
  {
    name: 'keras',
    framework: 'tensorflow',
    useCase: 'image-classification',
    rounds: 1,
    form: 'keras',
    loads: loadsKeras,
  },
] as const;

describe.runIf(process.env.ONEFLOWER_FULL)('frameworks that are not baked in', () => {
  const cloud = new EmbeddedCloud();
  beforeAll(() => cloud.document('cloud', 'start'), 120_000);
  afterEach(context => cloud.explain(context));
  afterAll(() => cloud.remove());

  const nodes = ['--nodes', '2'];

  it.each(deployments)(
    '$useCase trains with $framework from variables alone, and the model loads in plain $framework',
    { timeout: withInstallation },
    async ({ name, framework, useCase, rounds, form, loads }) => {
      const values = { FL_USE_CASE: useCase, ML_FRAMEWORK: framework, FL_NUM_ROUNDS: rounds };
      const set = Object.entries(values).flatMap(([variable, value]) => ['--set', `${variable}=${value}`]);
      const { service } = await cloud.document('deploy', name, ...nodes, ...set, '--wait');
      expect(service).toMatchObject({ run: { status: 'completed', round: rounds, model: true } });
      const { models } = await cloud.document('model', 'list', name);
      expect(models).toHaveLength(1);
      const python = await runsInEnvironmentOf(name, framework);
      const [model, arrays] = [await download(name, form), await download(name, 'npz')];
      await runPython(python, ['-c', loads, model, arrays], [networks]);
      await cloud.document('delete', name);
    },
  );

  it('a language model is fine-tuned: a tiny one, by run configuration, and plain peft loads its adapters', {
    timeout: withInstallation,
  }, async () => {
    await cloud.document('deploy', 'llm', ...nodes, '--set', 'ML_FRAMEWORK=pytorch');
    const app = join(apps, 'llm-fine-tuning');
    const config = ['-c', 'model="tiny"', '-c', 'num-server-rounds=1'];
    const { run } = await cloud.document('run', 'submit', 'llm', app, ...config, '--wait');
    expect(run).toMatchObject({ app: 'llm-fine-tuning', status: 'completed', model: true });
    const python = await runsInEnvironmentOf('llm', 'pytorch');
    const base = join(cloud.home, 'base');
    const making = ['-m', 'llm_fine_tuning.base', '--model', 'tiny', '--output', base];
    await runPython(python, making, [app, join(apps, '..', 'src')]);
    await runPython(python, ['-c', loadsAdapters, await download('llm', 'peft'), base]);
    await cloud.document('delete', 'llm');
  });

  async function download(name: string, form: string): Promise<string> {
    const path = join(cloud.home, `${name}.${form}`);
    await cloud.document('model', 'download', name, '--format', form, '-o', path);
    return path;
  }

  /** Runs Python in the cloud's home, with nothing of ours but the given modules. @throws Error unless it ends well. */
  async function runPython(python: string, words: string[], modules: string[] = []): Promise<void> {
    const env = { PYTHONPATH: modules.join(':'), HOME: cloud.home, HF_HUB_OFFLINE: '1' };
    await promisify(execFile)(python, words, { cwd: cloud.home, env });
  }

  /**
   * Flower of all VMs of a service finds the environment of the framework, and that of no other one, on its PATH.
   *
   * @returns Python of that environment.
   */
  async function runsInEnvironmentOf(name: string, framework: Framework): Promise<string> {
    const environment = `/versions/${environmentName(defaultFlowerVersion, framework)}/bin`;
    let python = '';
    for (const { id, role } of (await cloud.status(name)).vms) {
      const flower = await findProcess(cloud.root(id), `flower-${role}`);
      const surroundings = await readFile(`/proc/${flower?.pid}/environ`, 'utf8');
      const path = surroundings.split('\0').find(variable => variable.startsWith('PATH='));
      expect(path).toContain(`${environment}:`);
      const folder = path
        ?.replace('PATH=', '')
        .split(':')
        .find(entry => entry.endsWith(environment));
      python = join(folder ?? '', 'python');
    }
    return python;
  }
});
