import { isOneFlowerError, messageOf } from '@oneflower/contract';
import type { Colours } from './colours.ts';
import { safe } from './text.ts';

/** An error for programs. */
export function errorDocument(error: unknown): Record<string, unknown> {
  if (!isOneFlowerError(error)) return { code: 'internal', message: messageOf(error), fault: 'bug' };
  const { code, message, reason, remedy, fault, details } = error;
  return { code, message, reason: reason ?? null, remedy: remedy ?? null, fault, details };
}

/** An error for people: what failed, the likely cause, what to do. */
export function renderError(error: unknown, colours: Colours): string {
  if (!isOneFlowerError(error)) {
    const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return `${colours.red('Error:')} this is a defect of OneFlower.\n${safe(trace)}\n`;
  }
  const lines = [`${colours.red('Error:')} ${safe(headline(error))}`];
  for (const problem of problemsOf(error.details)) lines.push(`  ${safe(problem)}`);
  if (error.reason) lines.push(`Cause: ${safe(error.reason)}`);
  if (error.remedy) lines.push(`Do: ${safe(error.remedy)}`);
  return `${lines.join('\n')}\n`;
}

/** A list of problems is shown one a line, so its first sentence is enough. */
function headline(error: { message: string; details: Record<string, unknown> }): string {
  if (problemsOf(error.details).length === 0) return error.message;
  const end = error.message.indexOf(': ');
  return end < 0 ? error.message : `${error.message.slice(0, end)}.`;
}

function problemsOf(details: Record<string, unknown>): string[] {
  if (!Array.isArray(details.problems)) return [];
  return details.problems.flatMap((one: unknown) =>
    typeof one === 'object' && one !== null && 'problem' in one ? [String(one.problem)] : [],
  );
}
