import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultFlowerVersion } from '@oneflower/contract';

/** A software folder whose Flower does nothing: enough for what comes before Flower is started. */
export async function fakeSoftware(folder: string): Promise<string> {
  const bin = join(folder, 'software/versions', defaultFlowerVersion, 'bin');
  await mkdir(bin, { recursive: true });
  for (const name of ['flower-superlink', 'flower-supernode', 'flwr']) {
    await writeFile(join(bin, name), '#!/bin/sh\nexec sleep 1000\n', { mode: 0o755 });
  }
  return join(folder, 'software');
}
