/** Whose fault a failure is: the person's who asked, the surroundings' (a server, a network, a disk), or ours. */
export type Fault = 'user' | 'environment' | 'bug';

/** What an error is made of. The three sentences are shown as they are, in every front end. */
export interface ErrorParts {
  /** Stable identifier, kebab-case, for programs. */
  code: string;
  /** What failed, one sentence. */
  message: string;
  /** The likely cause, one sentence. */
  reason?: string;
  /** What to do, one sentence, with the command where there is one. */
  remedy?: string;
  fault?: Fault;
  cause?: unknown;
  /** Facts for programs: ids, values, server words. Never a secret. */
  details?: Record<string, unknown>;
}

const brand = Symbol.for('oneflower.error');

/** Every failure that OneFlower expects. Anything else that is thrown is a bug. */
export class OneFlowerError extends Error {
  readonly code: string;
  readonly reason: string | undefined;
  readonly remedy: string | undefined;
  readonly fault: Fault;
  readonly details: Record<string, unknown>;
  readonly [brand] = true;

  constructor(parts: ErrorParts) {
    super(parts.message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = 'OneFlowerError';
    this.code = parts.code;
    this.reason = parts.reason;
    this.remedy = parts.remedy;
    this.fault = parts.fault ?? 'environment';
    this.details = parts.details ?? {};
  }

  /** What failed, the likely cause and what to do, as one paragraph. */
  explain(): string {
    return [this.message, this.reason, this.remedy].filter(Boolean).join(' ');
  }
}

/** True for a {@link OneFlowerError} of any copy of this package. */
export function isOneFlowerError(error: unknown): error is OneFlowerError {
  return typeof error === 'object' && error !== null && brand in error;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
