import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { bakedFramework, defaultFlowerVersion, environmentName, frameworks } from '@oneflower/contract';
import {
  ensureEnvironment,
  ensureFramework,
  ensureSoftware,
  environments,
  flowerSources,
  ownEnvironments,
  pythonOfEnvironments,
  type Software,
} from '../packages/cli/src/runtime/index.ts';
import { ensureSystemPackages } from './system-packages.ts';

/** Says what is being done; everything a tool says of itself goes to stderr. */
export function say(message: string): void {
  console.error(message);
}

/** Everything that running guests needs. */
export async function setUp(): Promise<Software> {
  await ensureSystemPackages({ forTests: false });
  return ensureSoftware(say);
}

/** What the tests find through their environment. */
export interface TestSetUp {
  /** ONEFLOWER_SOFTWARE and the like. */
  environment: NodeJS.ProcessEnv;
  /** Python with Flower and the test tools. */
  python: string;
}

/** How Python tests are run. */
export interface PythonTests {
  /** Folder of the tests, below `flower/`. */
  folder: string;
  /** pytest in the environment of the tests: program and first arguments. */
  pytest: [string, ...string[]];
}

/** Runs pytest from the environment of the test tools, whose packages come after those of the framework's own. */
const borrowedPytest =
  'import sys, runpy; sys.path.append(sys.argv.pop(1)); runpy.run_module("pytest", run_name="__main__")';

/** What tests of the frameworks need that are not baked in; made where this machine has it not yet. */
export async function setUpFrameworkTests({ environment, python }: TestSetUp): Promise<PythonTests[]> {
  const software = environment.ONEFLOWER_SOFTWARE ?? '';
  const tools = spawnSync(python, ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))'], {
    encoding: 'utf8',
  }).stdout.trim();
  const tests: PythonTests[] = [];
  for (const framework of frameworks.filter(name => name !== bakedFramework)) {
    await ensureFramework(framework, software, say);
    const folder = join(software, 'versions', environmentName(defaultFlowerVersion, framework));
    tests.push({
      folder: join('tests', framework),
      pytest: [join(folder, 'bin', 'python'), '-c', borrowedPytest, tools],
    });
  }
  return tests;
}

/** Everything that the tests need: guests' software, and Flower together with pytest, ruff, mypy and pyone. */
export async function setUpTests(): Promise<TestSetUp> {
  await ensureSystemPackages({ forTests: true });
  const software = await ensureSoftware(say);
  const { sklearn } = environments;
  const environment = await ensureEnvironment({
    folder: ownEnvironments(),
    python: await pythonOfEnvironments(),
    contents: {
      ...sklearn,
      title: 'Flower with the test tools',
      lockFiles: [...sklearn.lockFiles, join(flowerSources, 'requirements-dev.lock')],
      megabytes: { download: 200, unpacked: 640 },
    },
    notify: say,
  });
  const python = join(environment, 'bin', 'python');
  return {
    python,
    environment: {
      ...process.env,
      ONEFLOWER_SOFTWARE: software.software,
      ONEFLOWER_AGENT: software.agentBundle,
      ONEFLOWER_FLOWER_USER: software.flowerUser,
      ONEFLOWER_PYTHON: python,
    },
  };
}
