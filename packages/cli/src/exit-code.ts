import { exitCodes, isOneFlowerError } from '@oneflower/contract';

const usage = new Set([
  'usage',
  'variables-invalid',
  'variables-file',
  'assignment-invalid',
  'cardinality-invalid',
  'name-invalid',
  'variable-unknown',
  'app-folder',
]);

const unreachable = new Set([
  'cloud-none',
  'cloud-unknown',
  'cloud-file',
  'endpoint-malformed',
  'login-missing',
  'login-unreadable',
  'login-malformed',
  'superlink-not-ready',
  'operator-unreachable',
  'operator-untrusted',
  'operator-token-missing',
  'operator-token-refused',
]);

/** A server of the cloud that was not reached, or that did not let us in. */
const cloudUnreachable = /^(oned|oneflow)-(unreachable|interrupted|timeout|garbled|unauthenticated|forbidden)$/;

/** The exit code of a command that has failed. */
export function exitCodeOf(error: unknown, signal: AbortSignal): number {
  if (signal.aborted) return exitCodes.interrupted;
  if (!isOneFlowerError(error)) return exitCodes.failed;
  if (usage.has(error.code)) return exitCodes.usage;
  if (unreachable.has(error.code) || cloudUnreachable.test(error.code)) return exitCodes.unreachable;
  return exitCodes.failed;
}
