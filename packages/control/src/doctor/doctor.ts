import { isOneFlowerError, messageOf } from '@oneflower/contract';

/** What a check has found. */
export interface Finding {
  /** Stable identifier, kebab-case. */
  id: string;
  status: 'ok' | 'warning' | 'error';
  message: string;
  /** What to do; null when all is well. */
  remedy: string | null;
}

/** One check. It may throw: that is a finding too. */
export interface Check {
  id: string;
  run(): Promise<Omit<Finding, 'id'>>;
}

export function ok(message: string): Omit<Finding, 'id'> {
  return { status: 'ok', message, remedy: null };
}

/** Runs checks side by side; findings come in the order of the checks. */
export function examine(checks: readonly Check[]): Promise<Finding[]> {
  return Promise.all(
    checks.map(async ({ id, run }) => {
      try {
        return { id, ...(await run()) };
      } catch (error) {
        return { id, ...failed(error) };
      }
    }),
  );
}

function failed(error: unknown): Omit<Finding, 'id'> {
  if (!isOneFlowerError(error)) return { status: 'error', message: messageOf(error), remedy: null };
  const message = [error.message, error.reason].filter(Boolean).join(' ');
  return { status: 'error', message, remedy: error.remedy ?? null };
}
