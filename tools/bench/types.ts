import type { Software } from '../../packages/cli/src/runtime/index.ts';

/** One number that a bench prints. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  goal?: string;
}

/** What a bench works with. */
export interface BenchContext {
  /** Python with Flower. */
  python: string;
  /** What guests run. */
  software: Software;
  /** A program of Flower's, by its name. */
  flower(program: string): string;
  say(message: string): void;
}

/** Something measured side by side with what it is compared to, in one run. */
export interface Bench {
  what: string;
  run: (context: BenchContext) => Promise<Figure[]>;
}
