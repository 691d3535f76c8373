import { X509Certificate } from 'node:crypto';

const certificate = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/;
const privateKey = /-----BEGIN (?:RSA |EC )?PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END (?:RSA |EC )?PRIVATE KEY-----/;
const base64 = /^[A-Za-z0-9+/\s]+={0,2}\s*$/;

/**
 * The PEM text in a value that is PEM, base64 of PEM, or base64 of that (OpenNebula's text64 inputs encode what may
 * be encoded already); undefined when there is none. Line ends are made `\n`.
 */
export function readPem(value: string, label: 'certificate' | 'private key'): string | undefined {
  const pattern = label === 'certificate' ? certificate : privateKey;
  let text = value;
  for (let layer = 0; layer < 3; layer++) {
    if (pattern.test(text)) return `${text.replaceAll('\r\n', '\n').trim()}\n`;
    if (!base64.test(text)) return undefined;
    text = Buffer.from(text, 'base64').toString('utf8');
  }
  return undefined;
}

/**
 * All certificates of a PEM text, in their order.
 *
 * @throws Error when one that is begun there cannot be read.
 */
export function readCertificates(pem: string): X509Certificate[] {
  const [, ...begun] = pem.split('-----BEGIN CERTIFICATE-----');
  return begun.map(rest => {
    const text = `-----BEGIN CERTIFICATE-----${rest}`;
    return new X509Certificate(certificate.exec(text)?.[0] ?? text);
  });
}
