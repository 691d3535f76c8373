import { help } from './help.ts';
import type { Bench } from './types.ts';

export type { Figure } from './types.ts';

/** Every bench by its name on the command line. */
export const benches: Record<string, Bench> = { help };
