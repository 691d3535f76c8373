import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { environmentName, type Framework } from '@oneflower/contract';

/** A Flower release that can run. */
export interface FlowerRelease {
  version: string;
  bin: string;
}

/** Which Python environment is meant: that of a Flower release with what the apps of a framework import. */
export interface Wanted {
  version: string;
  framework: Framework;
}

/** The release in a folder of environments, each named by {@link environmentName}. */
export async function releaseIn(folder: string, { version, framework }: Wanted): Promise<FlowerRelease | undefined> {
  const bin = join(folder, environmentName(version, framework), 'bin');
  return (await exists(join(bin, 'flower-superlink'), constants.X_OK)) ? { version, bin } : undefined;
}

/** File in an environment whose installation was finished. */
export const finishedMark = 'complete';

/** A release that was installed to the end: one that a power cut has interrupted is not there. */
export async function installed(versions: string, wanted: Wanted): Promise<FlowerRelease | undefined> {
  const { version, framework } = wanted;
  return (await exists(join(versions, environmentName(version, framework), finishedMark)))
    ? releaseIn(versions, wanted)
    : undefined;
}

function exists(path: string, mode = constants.F_OK): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
