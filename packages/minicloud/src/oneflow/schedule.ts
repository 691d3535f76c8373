import { Cron } from 'croner';

/** True for the five fields of a cron line that can be read. */
export function isCronLine(text: string): boolean {
  return cronOf(text) !== undefined;
}

/** Whether a recurrence has a due time after `since` and not after `now` (seconds; cron in the server's time zone). */
export function isDueByCron(recurrence: string, since: number, now: number): boolean {
  const next = cronOf(recurrence)?.nextRun(new Date(since * 1000));
  return next != null && next.getTime() <= now * 1000;
}

/** A start time in seconds: a number, numeric text, or a date as `YYYY-MM-DD hh:mm:ss` in the server's time zone. */
export function startTimeOf(value: unknown): number | undefined {
  if (typeof value === 'number') return Math.trunc(value);
  if (typeof value !== 'string') return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value);
  const time = Date.parse(value);
  return Number.isNaN(time) ? undefined : Math.trunc(time / 1000);
}

function cronOf(text: string): Cron | undefined {
  if (text.trim().split(/\s+/).length !== 5) return undefined;
  try {
    return new Cron(text, { paused: true });
  } catch {
    return undefined;
  }
}
