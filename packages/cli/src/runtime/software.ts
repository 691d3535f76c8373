import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, realpath, rename, rm, symlink } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join, relative } from 'node:path';
import { defaultFlowerVersion } from '@oneflower/contract';
import { homeFolder } from '@oneflower/control';
import { bundleAgent } from './bundle.ts';
import { ensureBundled } from './bundled.ts';
import { flowerSources } from './checkout.ts';
import { ensureEnvironment, type Notify } from './environment.ts';
import { environments, linkFrameworks, ownEnvironments, pythonOfEnvironments } from './frameworks.ts';

/** What a guest of the embedded cloud runs. */
export interface Software {
  /** Folder with `versions/`, `python/`, `apps/` and `bundled/`: the agent's `--software`. */
  software: string;
  /** The agent as one file. */
  agentBundle: string;
  /** Where guests install other Flower releases, once for all of them: the agent's `--releases`. */
  releases: string;
  /** User that Flower's processes run as; the caller itself where it is not root. */
  flowerUser: string;
}

/**
 * Brings together what guests run: the locked Flower environment, our Python package, the apps with the data sets that
 * come with them, and the agent. Environments of other frameworks are linked where this machine has them already.
 * It goes into a folder named after its content, outside the checkout, so that a running cloud never sees a half
 * edited file and an unprivileged user can read it. A folder that ONEFLOWER_SOFTWARE names is taken as it is.
 * @throws OneFlowerError `python-missing`, `python-packages`, `disk-space`.
 */
export async function ensureSoftware(notify: Notify): Promise<Software> {
  if (process.env.ONEFLOWER_SOFTWARE) return softwareIn(process.env.ONEFLOWER_SOFTWARE);
  const python = await pythonOfEnvironments();
  const folder = join(homeFolder(), 'software');
  const contents = environments.sklearn;
  const environment = await ensureEnvironment({ folder: ownEnvironments(), python, contents, notify });
  const bundled = await ensureBundled(join(folder, 'bundled'));
  const bundle = await bundleAgent(notify);
  const locks = Object.values(environments).flatMap(({ lockFiles }) => lockFiles);
  const parts = [join(flowerSources, 'src'), join(flowerSources, 'apps'), bundle, ...locks];
  const software = join(folder, await contentName([environment, bundled], parts));
  if (!existsSync(software)) await assemble(software, { environment, bundled, bundle });
  await linkFrameworks(software, python, notify);
  return softwareIn(software);
}

async function softwareIn(software: string): Promise<Software> {
  const flowerUser = process.getuid?.() === 0 ? 'nobody' : userInfo().username;
  return { software, agentBundle: join(software, 'agent.cjs'), releases: await releasesFor(software), flowerUser };
}

/** Releases outlive the software folder, but not the environment that they were made with and take libraries from. */
async function releasesFor(software: string): Promise<string> {
  const baked = join(software, 'versions', defaultFlowerVersion);
  const environment = await realpath(baked).catch(() => baked);
  const name = createHash('sha256').update(environment).digest('hex').slice(0, 16);
  return join(homeFolder(), 'software', 'releases', name);
}

async function assemble(
  target: string,
  parts: { environment: string; bundled: string; bundle: string },
): Promise<void> {
  const draft = `${target}.new-${process.pid}`;
  await mkdir(join(draft, 'versions'), { recursive: true, mode: 0o755 });
  const filter = (source: string) => !/(__pycache__|\.pyc$|_cache$)/.test(source);
  await cp(join(flowerSources, 'src'), join(draft, 'python'), { recursive: true, filter });
  await cp(join(flowerSources, 'apps'), join(draft, 'apps'), { recursive: true, filter });
  await cp(parts.bundle, join(draft, 'agent.cjs'));
  await symlink(parts.environment, join(draft, 'versions', defaultFlowerVersion));
  await symlink(parts.bundled, join(draft, 'bundled'));
  await rm(target, { recursive: true, force: true });
  await rename(draft, target);
}

async function contentName(folders: string[], paths: string[]): Promise<string> {
  const hash = createHash('sha256').update(folders.join('\n'));
  for (const path of paths) {
    for (const file of await filesUnder(path)) hash.update(relative(path, file)).update(await readFile(file));
  }
  return hash.digest('hex').slice(0, 16);
}

async function filesUnder(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true }).catch(() => undefined);
  if (!entries) return [path];
  return entries
    .filter(
      entry => entry.isFile() && !/(__pycache__|_cache)(\/|$)/.test(entry.parentPath) && !entry.name.endsWith('.pyc'),
    )
    .map(entry => join(entry.parentPath, entry.name))
    .sort();
}
