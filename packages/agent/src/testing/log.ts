import type { Clock } from '@oneflower/contract';
import { createLog, type Log } from '../log/log.ts';

/** A log whose lines are kept. */
export function keptLog(clock: Clock): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log = createLog(line => lines.push(line.trimEnd()), clock);
  log.configure({ level: 'DEBUG' });
  return { log, lines };
}
