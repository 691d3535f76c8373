/** One number that a bench prints. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  goal?: string;
}

/** Something measured side by side with what it is compared to, in one run. */
export interface Bench {
  what: string;
  run: (context: { python: string; say: (message: string) => void }) => Promise<Figure[]>;
}
