import type { X509Certificate } from 'node:crypto';
import { isIP, SocketAddress } from 'node:net';
import type { CertificateName } from './types.ts';

/** Names that every leaf carries: Flower and the agent's own probe speak to loopback. */
const always: readonly CertificateName[] = [
  { type: 'dns', value: 'localhost' },
  { type: 'ip', value: '127.0.0.1' },
  { type: 'ip', value: '::1' },
];

/** The names a leaf must carry: loopback's and those asked for, each once, in a canonical spelling. */
export function leafNames(names: readonly CertificateName[]): CertificateName[] {
  const byKey = new Map([...always, ...names].map(canonical).map(name => [keyOf(name), name]));
  return [...byKey.values()];
}

/** A name in the one spelling by which it is compared: `::1`, never `0:0:0:0:0:0:0:1`. */
export function canonical({ type, value }: CertificateName): CertificateName {
  const trimmed = value.trim();
  if (type === 'dns') return { type, value: trimmed.toLowerCase() };
  const family = isIP(trimmed);
  if (family === 0) return { type, value: trimmed };
  return { type, value: new SocketAddress({ address: trimmed, family: family === 4 ? 'ipv4' : 'ipv6' }).address };
}

/** Whether a name can stand in a certificate at all. */
export function isUsable({ type, value }: CertificateName): boolean {
  if (type === 'ip') return isIP(value) !== 0;
  return (
    value.length <= 253 && /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*$/i.test(value)
  );
}

/** The DNS names and addresses of a certificate's subjectAltName extension. */
export function namesOf(certificate: X509Certificate): CertificateName[] {
  const entries = (certificate.subjectAltName ?? '').split(', ');
  return entries.flatMap(entry => {
    if (entry.startsWith('DNS:')) return [canonical({ type: 'dns', value: entry.slice(4) })];
    if (entry.startsWith('IP Address:')) return [canonical({ type: 'ip', value: entry.slice(11) })];
    return [];
  });
}

/** Whether a certificate is for exactly these names, compared whole and never as text within text. */
export function hasExactly(certificate: X509Certificate, names: readonly CertificateName[]): boolean {
  const has = new Set(namesOf(certificate).map(keyOf));
  return has.size === names.length && names.every(name => has.has(keyOf(name)));
}

/** Whether a client that dials `name` would accept the certificate. */
export function covers(certificate: X509Certificate, { type, value }: CertificateName): boolean {
  if (type === 'ip') return certificate.checkIP(value) !== undefined;
  return certificate.checkHost(value, { subject: 'never' }) !== undefined;
}

function keyOf({ type, value }: CertificateName): string {
  return `${type}:${value}`;
}
