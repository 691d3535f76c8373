import type { Clock } from '@oneflower/contract';

const quietMs = 60_000;
const remembered = 1000;

/** Reports clients that speak something else, each address at most once a minute. */
export function createBadClientReport(
  clock: Clock,
  report: (address: string, reason: string) => void,
): (address: string | undefined, error: NodeJS.ErrnoException) => void {
  const last = new Map<string, number>();
  return (address, error) => {
    const reason = reasonOf(error);
    if (address === undefined || reason === undefined) return;
    const before = last.get(address);
    if (before !== undefined && clock.now() - before < quietMs) return;
    last.delete(address);
    last.set(address, clock.now());
    const oldest = last.keys().next().value;
    if (last.size > remembered && oldest !== undefined) last.delete(oldest);
    report(address, reason);
  };
}

/** Undefined for what port scans and clients that went away do. */
function reasonOf({ code = '', message }: NodeJS.ErrnoException): string | undefined {
  if (code === 'ECONNRESET' || code === 'EPIPE') return undefined;
  if (/ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|CERTIFICATE_EXPIRED)/.test(code)) {
    return 'it does not accept the certificate of this gate: it trusts another CA or dials another name';
  }
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'it did not finish the TLS handshake in time';
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'it did not finish its request in time';
  if (/UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|NO_SHARED_CIPHER/.test(code)) return 'its TLS is older than 1.2';
  if (code.startsWith('ERR_SSL_')) return 'it does not speak TLS';
  if (code.startsWith('HPE_')) return 'it does not speak HTTP';
  return message;
}
