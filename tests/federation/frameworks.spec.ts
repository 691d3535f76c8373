import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { defaultFlowerVersion, environmentName, type Framework } from '../../packages/contract/src/index.ts';
import { EmbeddedCloud } from '../support/embedded-cloud.ts';
import { findProcess } from '../support/processes.ts';

/** The environment of a framework may have to be made first. */
const withInstallation = 1_500_000;

const deployments = [
  { name: 'images', framework: 'pytorch', useCase: 'image-classification', rounds: 2 },
  { name: 'sensors', framework: 'pytorch', useCase: 'anomaly-detection', rounds: 2 },
  { name: 'keras', framework: 'tensorflow', useCase: 'image-classification', rounds: 1 },
] as const;

describe.runIf(process.env.ONEFLOWER_FULL)('frameworks that are not baked in', () => {
  const cloud = new EmbeddedCloud();
  beforeAll(() => cloud.document('cloud', 'start'), 120_000);
  afterEach(context => cloud.explain(context));
  afterAll(() => cloud.remove());

  const nodes = ['--nodes', '2'];

  it.each(deployments)(
    '$useCase trains with $framework from variables alone',
    { timeout: withInstallation },
    async ({ name, framework, useCase, rounds }) => {
      const values = { FL_USE_CASE: useCase, ML_FRAMEWORK: framework, FL_NUM_ROUNDS: rounds };
      const set = Object.entries(values).flatMap(([variable, value]) => ['--set', `${variable}=${value}`]);
      const { service } = await cloud.document('deploy', name, ...nodes, ...set, '--wait');
      expect(service).toMatchObject({ run: { status: 'completed', round: rounds, model: true } });
      const { models } = await cloud.document('model', 'list', name);
      expect(models).toHaveLength(1);
      await runsInEnvironmentOf(name, framework);
      await cloud.document('delete', name);
    },
  );

  it('a language model is fine-tuned: a tiny one, by run configuration', { timeout: withInstallation }, async () => {
    await cloud.document('deploy', 'llm', ...nodes, '--set', 'ML_FRAMEWORK=pytorch');
    const app = join(import.meta.dirname, '..', '..', 'flower', 'apps', 'llm-fine-tuning');
    const config = ['-c', 'model="tiny"', '-c', 'num-server-rounds=1'];
    const { run } = await cloud.document('run', 'submit', 'llm', app, ...config, '--wait');
    expect(run).toMatchObject({ app: 'llm-fine-tuning', status: 'completed', model: true });
    await cloud.document('delete', 'llm');
  });

  /** Flower of all VMs of a service finds the environment of the framework, and that of no other one, on its PATH. */
  async function runsInEnvironmentOf(name: string, framework: Framework): Promise<void> {
    for (const { id, role } of (await cloud.status(name)).vms) {
      const flower = await findProcess(cloud.root(id), `flower-${role}`);
      const surroundings = await readFile(`/proc/${flower?.pid}/environ`, 'utf8');
      const path = surroundings.split('\0').find(variable => variable.startsWith('PATH='));
      expect(path).toContain(`/versions/${environmentName(defaultFlowerVersion, framework)}/bin:`);
    }
  }
});
