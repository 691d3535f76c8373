import { type Fault, failures, OneFlowerError } from '@oneflower/contract';

/** The error of everything that goes wrong with certificates. */
export function tlsSetupFailed(message: string, fault: Fault, cause?: unknown): OneFlowerError {
  return new OneFlowerError({ code: 'tls_setup_failed', message, ...failures.tls_setup_failed, fault, cause });
}
