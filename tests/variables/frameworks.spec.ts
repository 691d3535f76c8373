import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { checkContext } from '../../packages/agent/src/context/context.ts';
import { runCommandLine } from '../../packages/cli/src/testing/command-line.ts';
import { isOneFlowerError, roles } from '../../packages/contract/src/index.ts';

/** What the documentation promises: every pair that is not here is refused. */
const accepted: Record<string, readonly string[]> = {
  none: ['sklearn', 'pytorch', 'tensorflow'],
  'anomaly-detection': ['sklearn', 'pytorch'],
  'image-classification': ['sklearn', 'pytorch', 'tensorflow'],
  'llm-fine-tuning': ['pytorch'],
};
const useCases = [...Object.keys(accepted), 'chess', 'Anomaly-Detection', 'anomaly_detection', '../apps'];
const frameworks = ['sklearn', 'pytorch', 'tensorflow', 'jax', 'PyTorch', 'torch', 'sklearn pytorch'];
const pairs = useCases.flatMap(useCase => frameworks.map(framework => [useCase, framework] as const));

const home = mkdtempSync(join(tmpdir(), 'oneflower-matrix-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** What the command line says of a pair, without any cloud; empty when it has nothing against it. */
async function saidByDeploy(useCase: string, framework: string, ...words: string[]): Promise<string[]> {
  const set = ['--set', `FL_USE_CASE=${useCase}`, '--set', `ML_FRAMEWORK=${framework}`];
  const environment = { ONEFLOWER_HOME: home, HOME: home };
  const { document } = await runCommandLine({ environment }, 'deploy', ...set, ...words, '--json');
  const { error } = document() as { error?: { code: string; details?: { problems: { problem: string }[] } } };
  // Without a cloud a deployment ends there, when its variables are accepted.
  if (error === undefined || error.code === 'cloud-none') return [];
  return error.details?.problems.map(({ problem }) => problem) ?? [error.code];
}

/** What the agent says at boot. */
function saidAtBoot(role: string, useCase: string, framework: string): string[] {
  const values = new Map([
    ['FL_ROLE', role],
    ['VMID', '1'],
    ['FL_USE_CASE', useCase],
    ['ML_FRAMEWORK', framework],
  ]);
  try {
    checkContext({ values, token: undefined });
    return [];
  } catch (error) {
    if (!isOneFlowerError(error) || error.code !== 'config_validation_failed') throw error;
    return error.message.split('\n');
  }
}

describe('FL_USE_CASE with ML_FRAMEWORK', () => {
  it.each(pairs)('%s with %s has the verdict of the table', async (useCase, framework) => {
    const said = await saidByDeploy(useCase, framework);
    expect(said.length === 0).toBe(accepted[useCase]?.includes(framework) ?? false);
  });

  it.each(pairs)('%s with %s is told in the same words in a dry run, at deployment and at boot', async (...pair) => {
    const said = await saidByDeploy(...pair);
    expect(await saidByDeploy(...pair, '--dry-run')).toEqual(said);
    for (const role of roles) expect(saidAtBoot(role, ...pair)).toEqual(said);
  });

  it('names the frameworks that serve', async () => {
    expect(await saidByDeploy('llm-fine-tuning', 'sklearn')).toEqual([
      'ML_FRAMEWORK="sklearn" is refused: it must be one of pytorch with FL_USE_CASE=llm-fine-tuning.',
    ]);
    expect(await saidByDeploy('anomaly-detection', 'tensorflow')).toEqual([
      'ML_FRAMEWORK="tensorflow" is refused: it must be one of sklearn, pytorch with FL_USE_CASE=anomaly-detection.',
    ]);
  });
});
