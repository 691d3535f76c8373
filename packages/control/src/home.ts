import { homedir } from 'node:os';
import { join } from 'node:path';

/** The environment as far as OneFlower reads it. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where OneFlower keeps what outlives a command: ONEFLOWER_HOME, else /var/lib/oneflower for root, else the user's
 * data folder (XDG_DATA_HOME or ~/.local/share).
 */
export function homeFolder(environment: Environment = process.env, uid = process.getuid?.()): string {
  if (environment.ONEFLOWER_HOME) return environment.ONEFLOWER_HOME;
  if (uid === 0) return '/var/lib/oneflower';
  const data = environment.XDG_DATA_HOME || join(environment.HOME || homedir(), '.local', 'share');
  return join(data, 'oneflower');
}
