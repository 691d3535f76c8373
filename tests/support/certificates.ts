import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** PEM texts of a CA and of a server certificate that it has issued. */
export interface Trio {
  ca: string;
  certificate: string;
  key: string;
}

/** A CA and a server certificate as an operator makes them by openssl, for an IP address. */
export function operatorTrio(address: string): Trio {
  const folder = mkdtempSync(join(tmpdir(), 'oneflower-trio-'));
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  try {
    const authority = ['-x509', '-subj', '/CN=Operator CA', '-keyout', 'ca.key', '-out', 'ca.crt'];
    openssl('req', ...key, ...authority, '-days', '30', '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
    openssl('req', ...key, '-subj', '/CN=gate', '-keyout', 'server.key', '-out', 'server.csr');
    const extensions = [
      'basicConstraints=critical,CA:FALSE',
      'keyUsage=critical,digitalSignature',
      'extendedKeyUsage=serverAuth',
      `subjectAltName=IP:${address}`,
    ];
    writeFileSync(join(folder, 'extensions'), extensions.join('\n'));
    const issuer = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '30'];
    openssl('x509', '-req', '-in', 'server.csr', ...issuer, '-extfile', 'extensions', '-out', 'server.crt');
    const read = (name: string) => readFileSync(join(folder, name), 'utf8');
    return { ca: read('ca.crt'), certificate: read('server.crt'), key: read('server.key') };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
