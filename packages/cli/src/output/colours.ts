import type { Environment } from '@oneflower/control';
import picocolors from 'picocolors';
import type { Output } from '../context.ts';

export type Colours = ReturnType<typeof picocolors.createColors>;

/** Colours for a terminal, none elsewhere or when NO_COLOR is set (no-color.org). */
export function coloursFor(output: Output, environment: Environment): Colours {
  const wanted = output.terminal && !environment.NO_COLOR && environment.TERM !== 'dumb';
  return picocolors.createColors(wanted);
}
