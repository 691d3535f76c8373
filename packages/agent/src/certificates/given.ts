import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isOneFlowerError, messageOf, type OneFlowerError } from '@oneflower/contract';
import { tlsSetupFailed } from './failure.ts';
import { covers } from './names.ts';
import type { CertificateName, GivenCertificates } from './types.ts';

/** An operator's trio that was found in order. */
export interface CheckedTrio {
  ca: string;
  certificate: string;
  key: string;
  /** When the first certificate of the chain expires, milliseconds since the epoch. */
  expiresAt: number;
  warnings: string[];
}

const soon = 30 * 24 * 3600 * 1000;
const serverAuthentication = '1.3.6.1.5.5.7.3.1';
const anyUsage = '2.5.29.37.0';

/**
 * Checks an operator's certificates before anything uses them: RSA or EC, with intermediates after the leaf.
 *
 * @throws OneFlowerError `tls_setup_failed`, with what exactly does not fit.
 */
export function checkGiven(given: GivenCertificates, names: readonly CertificateName[], now: number): CheckedTrio {
  const anchors = readCertificates(given.ca, 'FL_SSL_CA_CERTFILE');
  const [leaf, ...intermediates] = readCertificates(given.certificate, 'FL_SSL_CERTFILE');
  const key = readKey(given.key);
  if (!leaf) throw refuse('FL_SSL_CERTFILE holds no certificate');
  assertKeyFits(leaf, intermediates, key);
  const chain = chainToAnchor(leaf, intermediates, anchors);
  for (const certificate of chain) assertInForce(certificate, now);
  assertForServers(leaf);
  const expiresAt = Math.min(...chain.map(({ validTo }) => Date.parse(validTo)));
  return {
    ca: pemOf(anchors),
    certificate: pemOf([leaf, ...intermediates]),
    key: String(key.export({ type: 'pkcs8', format: 'pem' })),
    expiresAt,
    warnings: warningsFor(leaf, names, expiresAt, now),
  };
}

function readCertificates(text: string, variable: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]+-----END (?:TRUSTED )?CERTIFICATE-----/g);
  if (!blocks) throw refuse(`${variable} holds no PEM certificate`);
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      throw refuse(`certificate ${index + 1} of ${variable} cannot be read (${messageOf(error)})`);
    }
  });
}

function readKey(text: string): KeyObject {
  if (/-----BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(text)) {
    throw refuse('FL_SSL_KEYFILE is protected by a passphrase, which nobody could enter at boot');
  }
  try {
    const key = createPrivateKey(text);
    if (key.asymmetricKeyType !== 'rsa' && key.asymmetricKeyType !== 'ec') {
      throw refuse(`FL_SSL_KEYFILE is a key of type ${key.asymmetricKeyType}; RSA and EC are supported`);
    }
    return key;
  } catch (error) {
    if (isOneFlowerError(error)) throw error;
    // What the parser says may quote the key: it is not repeated.
    throw refuse('FL_SSL_KEYFILE holds no PEM private key');
  }
}

function assertKeyFits(leaf: X509Certificate, intermediates: readonly X509Certificate[], key: KeyObject): void {
  if (leaf.checkPrivateKey(key)) return;
  if (intermediates.some(certificate => certificate.checkPrivateKey(key))) {
    throw refuse("the server's certificate is not the first in FL_SSL_CERTFILE: put it before its intermediates");
  }
  throw refuse('FL_SSL_KEYFILE is not the key of the first certificate in FL_SSL_CERTFILE');
}

/** The certificates from the leaf to the anchor, both included; the anchor may be the leaf itself. */
function chainToAnchor(
  leaf: X509Certificate,
  intermediates: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
): X509Certificate[] {
  const chain = [leaf];
  let current = leaf;
  for (let depth = 0; depth <= intermediates.length + 1; depth++) {
    const subject = current;
    if (anchors.some(anchor => anchor.raw.equals(subject.raw))) return chain;
    const issuer = [...anchors, ...intermediates].find(candidate => isIssuedBy(subject, candidate));
    if (!issuer) break;
    chain.push(issuer);
    current = issuer;
  }
  throw refuse(
    `FL_SSL_CERTFILE does not lead to FL_SSL_CA_CERTFILE: nobody given there has issued "${oneLine(current.subject)}" ` +
      `(issuer "${oneLine(current.issuer)}")`,
  );
}

function isIssuedBy(subject: X509Certificate, issuer: X509Certificate): boolean {
  return (
    !subject.raw.equals(issuer.raw) && issuer.ca && subject.checkIssued(issuer) && subject.verify(issuer.publicKey)
  );
}

function assertInForce(certificate: X509Certificate, now: number): void {
  const name = oneLine(certificate.subject);
  if (Date.parse(certificate.validTo) <= now) throw refuse(`"${name}" has expired on ${certificate.validTo}`);
  if (Date.parse(certificate.validFrom) > now) throw refuse(`"${name}" is valid only from ${certificate.validFrom} on`);
}

function assertForServers(leaf: X509Certificate): void {
  const usages: readonly string[] | undefined = leaf.keyUsage;
  if (usages === undefined || usages.includes(serverAuthentication) || usages.includes(anyUsage)) return;
  throw refuse('the certificate of FL_SSL_CERTFILE is not meant for servers (extended key usage lacks serverAuth)');
}

function warningsFor(
  leaf: X509Certificate,
  names: readonly CertificateName[],
  expiresAt: number,
  now: number,
): string[] {
  const warnings: string[] = [];
  if (names.length > 0 && !names.some(name => covers(leaf, name))) {
    const wanted = names.map(({ value }) => value).join(', ');
    warnings.push(`The given certificate covers none of this VM's names (${wanted}): nodes that dial them refuse it.`);
  }
  if (expiresAt - now < soon) warnings.push(`The given certificates expire on ${new Date(expiresAt).toISOString()}.`);
  return warnings;
}

function pemOf(certificates: readonly X509Certificate[]): string {
  return certificates.map(certificate => certificate.toString()).join('');
}

function oneLine(name: string): string {
  return name.replaceAll('\n', ', ');
}

function refuse(why: string): OneFlowerError {
  return tlsSetupFailed(`The given certificates cannot be used: ${why}.`, 'user');
}
