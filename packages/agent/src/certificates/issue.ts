import { createHash, createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import type { CertificateName } from './types.ts';

/** A certificate and its private key, PEM. */
export interface KeyPair {
  certificatePem: string;
  keyPem: string;
}

const day = 24 * 3600 * 1000;
const caDays = 3650;
/** What the common clients accept at most for a server certificate. */
const leafDays = 397;
/** Clocks of other machines may be a little behind. */
const backdateMs = 5 * 60 * 1000;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const serverAuthentication = '1.3.6.1.5.5.7.3.1';

/**
 * Makes a certificate authority for one service: ten years, strict-clean (RFC 5280: critical basicConstraints and
 * keyUsage, subject key identifier), so that clients with VERIFY_X509_STRICT accept it.
 */
export async function issueCa(now: number): Promise<KeyPair> {
  const x509 = await load();
  const keys = await newKeys();
  const name = `O=OneFlower, CN=OneFlower CA ${randomBytes(4).toString('hex')}`;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name,
    notBefore: wholeSeconds(now - backdateMs),
    notAfter: wholeSeconds(now + caDays * day),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificatePem: pem(certificate.toString('pem')), keyPem: await exportKey(keys.privateKey) };
}

/** Makes a server certificate for `names` under a CA, with a key of its own. It never outlives the CA. */
export async function issueLeaf(ca: KeyPair, names: readonly CertificateName[], now: number): Promise<KeyPair> {
  const x509 = await load();
  const keys = await newKeys();
  const issuer = new x509.X509Certificate(ca.certificatePem);
  const notAfter = Math.min(now + leafDays * day, issuer.notAfter.getTime());
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: 'O=OneFlower, CN=OneFlower SuperLink',
    issuer: issuer.subject,
    notBefore: wholeSeconds(Math.max(now - backdateMs, issuer.notBefore.getTime())),
    notAfter: wholeSeconds(notAfter),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: await importKey(ca.keyPem),
    extensions: [
      new x509.BasicConstraintsExtension(false),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([serverAuthentication]),
      new x509.SubjectAlternativeNameExtension(names.map(({ type, value }) => ({ type, value }))),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { certificatePem: pem(certificate.toString('pem')), keyPem: await exportKey(keys.privateKey) };
}

/** SHA-256 of a certificate, lower-case hexadecimal. */
export function fingerprintOf(certificatePem: string): string {
  return createHash('sha256').update(new X509Certificate(certificatePem).raw).digest('hex');
}

/** Only issuing needs the library, so a boot that finds its certificates in order never loads it. */
async function load(): Promise<typeof import('@peculiar/x509')> {
  // The library's dependency injection wants this polyfill to be there first.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  x509.cryptoProvider.set(webcrypto as never);
  return x509;
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key));
  return String(createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ type: 'pkcs8', format: 'pem' }));
}

async function importKey(keyPem: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(keyPem).export({ type: 'pkcs8', format: 'der' });
  return await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']);
}

/** Positive, 127 bits of chance. */
function serial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}

function wholeSeconds(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000);
}

function pem(text: string): string {
  return `${text.trim()}\n`;
}
