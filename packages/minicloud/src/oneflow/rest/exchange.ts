import type { Cloud } from '../cloud.ts';
import type { Engine } from '../engine/engine.ts';
import type { Caller } from './login.ts';

/** One request on its way to its handler. */
export interface Exchange {
  cloud: Cloud;
  engine: Engine;
  caller: Caller;
  /** The id in the path; text that is no number reads as the number it starts with, else 0. */
  id: number;
  /** The role in the path, or empty. */
  role: string;
  body: string;
  /** Seconds since the epoch. */
  now: number;
}
