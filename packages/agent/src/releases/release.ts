import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';

/** A Flower release that can run. */
export interface FlowerRelease {
  version: string;
  bin: string;
}

/** The release in a folder of environments, each named after its version. */
export async function releaseIn(folder: string, version: string): Promise<FlowerRelease | undefined> {
  const bin = join(folder, version, 'bin');
  return (await exists(join(bin, 'flower-superlink'), constants.X_OK)) ? { version, bin } : undefined;
}

/** File in an environment whose installation was finished. */
export const finishedMark = 'complete';

/** A release that was installed to the end: one that a power cut has interrupted is not there. */
export async function installed(versions: string, version: string): Promise<FlowerRelease | undefined> {
  return (await exists(join(versions, version, finishedMark))) ? releaseIn(versions, version) : undefined;
}

function exists(path: string, mode = constants.F_OK): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
