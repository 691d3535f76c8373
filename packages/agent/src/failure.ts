import {
  type ErrorParts,
  type FailureCode,
  type Fault,
  failures,
  isOneFlowerError,
  messageOf,
  OneFlowerError,
} from '@oneflower/contract';

type Extra = Partial<Pick<ErrorParts, 'reason' | 'remedy' | 'cause' | 'details'>> & { fault?: Fault };

/** The error of a boot failure: what failed is said here, cause and remedy are the contract's unless given. */
export function failure(code: FailureCode, message: string, extra: Extra = {}): OneFlowerError {
  return new OneFlowerError({ code, message, ...failures[code], ...extra });
}

/** Whether a code is one of those that FL_ERROR may hold. */
export function isFailureCode(code: string): code is FailureCode {
  return Object.hasOwn(failures, code);
}

/** Anything thrown as the failure that a boot step reports; `code` where the error does not say one itself. */
export function asFailure(error: unknown, code: FailureCode): OneFlowerError {
  if (isOneFlowerError(error) && isFailureCode(error.code)) return error;
  if (isOneFlowerError(error)) {
    return failure(code, error.message, {
      ...(error.reason === undefined ? {} : { reason: error.reason }),
      ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
      fault: error.fault,
      cause: error,
    });
  }
  const fault = isSystemError(error) ? 'environment' : 'bug';
  return failure(code, `${messageOf(error)}.`, { cause: error, fault });
}

/** An error of the operating system (ENOENT, EACCES, ...), not of the program. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^E[A-Z0-9]+$/.test(error.code);
}
