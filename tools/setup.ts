import { join } from 'node:path';
import {
  ensureEnvironment,
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
