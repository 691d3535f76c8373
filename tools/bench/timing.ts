import { execa } from 'execa';

/** Middle value; of an even number the mean of the two in the middle. */
export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? Number.NaN;
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? Number.NaN) + upper) / 2 : upper;
}

/** Rounded to `digits` after the point. */
export function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

/** Seconds that a command takes from start to exit. */
export async function secondsOf(file: string, args: string[]): Promise<number> {
  const started = performance.now();
  await execa(file, args, { stdin: 'ignore' });
  return (performance.now() - started) / 1000;
}
