import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defaultFlowerVersion } from '@oneflower/contract';

/** A software folder whose Flower does nothing: enough for what comes before Flower is started. */
export async function fakeSoftware(folder: string): Promise<string> {
  const flower = join(folder, 'software/versions', defaultFlowerVersion, 'bin');
  const launchers = join(folder, 'software/python/oneflower/warm/bin');
  for (const bin of [flower, launchers]) {
    await mkdir(bin, { recursive: true });
    for (const name of ['flower-superlink', 'flower-supernode', 'flwr']) {
      await writeFile(join(bin, name), '#!/bin/sh\nexec sleep 1000\n', { mode: 0o755 });
    }
  }
  return join(folder, 'software');
}

/** A software folder whose flower-supernode runs `program`, says that it is up, and lives on. */
export async function softwareWithFlower(folder: string, program: string): Promise<string> {
  const software = await fakeSoftware(folder);
  const file = join(software, 'python/oneflower/warm/bin/flower-supernode');
  const text = `#!${process.execPath}\n${program}; console.log('Flower is up'); setInterval(() => {}, 1000);\n`;
  await writeFile(file, text, { mode: 0o755 });
  return software;
}
