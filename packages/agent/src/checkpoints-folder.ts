import { lstat, readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { OneFlowerError } from '@oneflower/contract';
import { ensureFolder, type FileOwner } from './files.ts';

/**
 * Makes the folder of the checkpoints, which belongs to Flower's user. One that is there is taken over only when it
 * holds nothing but checkpoints: a mistyped path must not hand a folder of the system to Flower.
 *
 * @param reserved folders with another use, which may be empty at the moment or hold folders named like runs.
 * @throws OneFlowerError `state_write_failed`
 */
export async function prepareCheckpoints(
  folder: string,
  owner: FileOwner | undefined,
  reserved: readonly string[] = [],
): Promise<void> {
  if (reserved.includes(resolve(folder))) throw refused(folder, 'which OneFlower uses for something else');
  const found = await lstat(folder).catch(() => undefined);
  const isOurs = found !== undefined && found.uid === (owner?.uid ?? process.getuid?.());
  if (found?.isDirectory() && !isOurs) await assertOnlyCheckpoints(folder);
  await ensureFolder(folder, 0o700, owner);
}

async function assertOnlyCheckpoints(folder: string): Promise<void> {
  const stranger = (await readdir(folder)).find(name => !/^\d{1,20}$/.test(name) && name !== 'lost+found');
  if (stranger === undefined) return;
  throw refused(folder, `which holds other things than checkpoints, such as ${JSON.stringify(stranger.slice(0, 100))}`);
}

function refused(folder: string, why: string): OneFlowerError {
  return new OneFlowerError({
    code: 'state_write_failed',
    message: `FL_CHECKPOINT_PATH leads to ${folder}, ${why}.`,
    reason: 'The folder would be handed over to the user that runs Flower.',
    remedy: 'Name a folder of its own, or the mount point of an empty disk.',
    fault: 'user',
  });
}
