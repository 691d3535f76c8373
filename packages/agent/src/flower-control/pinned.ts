import type { ConnectionOptions } from 'node:tls';

/**
 * How the agent trusts Flower on its own loopback address: by the one CA, whatever the certificate's names, because an
 * operator's certificate need not name loopback.
 */
export function pinned(caPem: string): Pick<ConnectionOptions, 'ca' | 'checkServerIdentity' | 'minVersion'> {
  return { ca: caPem, checkServerIdentity: () => undefined, minVersion: 'TLSv1.2' };
}
