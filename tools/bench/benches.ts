import { boot } from './boot.ts';
import { cloud } from './cloud.ts';
import { gate } from './gate.ts';
import { help } from './help.ts';
import { memory } from './memory.ts';
import { roundsBench } from './rounds.ts';
import type { Bench } from './types.ts';

/** Every bench by its name on the command line. */
export const benches: Record<string, Bench> = { boot, memory, gate, rounds: roundsBench, cloud, help };
