import { isIP } from 'node:net';
import { isHost } from './addresses.ts';

/** A subject alternative name. */
export interface CertificateName {
  type: 'ip' | 'dns';
  value: string;
}

/** Reads `IP:10.0.0.1, DNS:flower.example`; entries that are neither are returned apart, to be warned of. */
export function parseCertificateNames(text: string): { names: CertificateName[]; ignored: string[] } {
  const names: CertificateName[] = [];
  const ignored: string[] = [];
  for (const entry of text
    .split(',')
    .map(part => part.trim())
    .filter(Boolean)) {
    const [prefix = '', value = ''] = splitOnce(entry, ':');
    if (prefix === 'IP' && isIP(value) !== 0) names.push({ type: 'ip', value });
    else if (prefix === 'DNS' && isIP(value) === 0 && isHost(value.replace(/^\*\./, '')))
      names.push({ type: 'dns', value });
    else ignored.push(entry);
  }
  return { names, ignored };
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}
