import { createPrivateKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { isOneFlowerError, messageOf } from '@oneflower/contract';
import { ensureAuthority } from './authority.ts';
import { tlsSetupFailed } from './failure.ts';
import { checkGiven } from './given.ts';
import { fingerprintOf } from './issue.ts';
import { createIssuer, type Issuer } from './issuer.ts';
import { hasExactly, isUsable, leafNames } from './names.ts';
import { type CertificateSet, readSet, setFiles, writeSet } from './store.ts';
import type { CertificateMaterial, CertificateName, CertificateRequest, Certificates } from './types.ts';

/** Below the folder of an operator's set: ours for Flower. */
const ownFolder = 'loopback';
const renewBefore = 30 * 24 * 3600 * 1000;

/**
 * Sees to it that the certificates of the gate and of Flower are there and in order: the operator's where they are
 * given, else a CA of the service's own and a leaf under it. Harmless to repeat: at boot, when the address has
 * changed, and at `renewAt`. The CA stays; only the leaf is issued anew when its names, its key or its remaining time
 * do not fit.
 *
 * @throws OneFlowerError `tls_setup_failed` when what is given or asked for cannot work, `state_write_failed` when the
 * disk refuses.
 */
export async function ensureCertificates(request: CertificateRequest): Promise<Certificates> {
  const issuer = createIssuer();
  try {
    return request.given ? await useGiven(request, issuer) : await useOwn(request, issuer);
  } catch (error) {
    if (isOneFlowerError(error)) throw error;
    throw tlsSetupFailed(`The certificates could not be made: ${messageOf(error)}.`, 'environment', error);
  } finally {
    issuer.close();
  }
}

async function useGiven(request: CertificateRequest, issuer: Issuer): Promise<Certificates> {
  const { given, names, clock, certsDirectory, owner } = request;
  if (!given) throw tlsSetupFailed('No certificates are given.', 'bug');
  const checked = checkGiven(given, names, clock.now());
  const set = { ca: checked.ca, certificate: checked.certificate, key: checked.key };
  const before = await readSet(certsDirectory);
  const changed = !before || before.ca !== set.ca || before.certificate !== set.certificate || before.key !== set.key;
  if (changed) await writeSet(certsDirectory, set, owner);
  const own = await useOwn({ ...request, given: undefined, certsDirectory: join(certsDirectory, ownFolder) }, issuer);
  return {
    ...describe(certsDirectory, set),
    flower: own,
    renewAt: Math.min(checked.expiresAt, own.renewAt),
    expiresAt: Math.min(checked.expiresAt, own.expiresAt),
    changed: changed || own.changed,
    warnings: checked.warnings,
  };
}

async function useOwn(request: CertificateRequest, issuer: Issuer): Promise<Certificates> {
  const { certsDirectory, caDirectory, clock, owner } = request;
  const unusable = request.names.find(name => !isUsable(name));
  if (unusable) throw tlsSetupFailed(`"${unusable.value}" cannot stand in a certificate.`, 'user');
  const names = leafNames(request.names);
  const authority = await ensureAuthority(caDirectory, clock.now(), issuer);
  const before = await readSet(certsDirectory);
  const keep = before !== undefined && fits(before, authority.certificatePem, names, clock.now());
  const set = keep ? before : await issueSet(authority, names, clock.now(), issuer);
  if (!keep) await writeSet(certsDirectory, set, owner);
  const expiresAt = Date.parse(new X509Certificate(set.certificate).validTo);
  const renewAt = expiresAt - renewBefore;
  return { ...describe(certsDirectory, set), renewAt, expiresAt, changed: !keep, warnings: authority.warnings };
}

async function issueSet(
  authority: { certificatePem: string; keyPem: string },
  names: readonly CertificateName[],
  now: number,
  issuer: Issuer,
): Promise<CertificateSet> {
  const ca = { certificatePem: authority.certificatePem, keyPem: authority.keyPem };
  const leaf = await issuer.issue({ kind: 'leaf', ca, names, now });
  return { ca: authority.certificatePem, certificate: leaf.certificatePem, key: leaf.keyPem };
}

function fits(set: CertificateSet, caPem: string, names: readonly CertificateName[], now: number): boolean {
  if (set.ca !== caPem) return false;
  try {
    const leaf = new X509Certificate(set.certificate);
    return (
      leaf.verify(new X509Certificate(caPem).publicKey) &&
      leaf.checkPrivateKey(createPrivateKey(set.key)) &&
      hasExactly(leaf, names) &&
      Date.parse(leaf.validFrom) <= now &&
      Date.parse(leaf.validTo) - renewBefore > now
    );
  } catch {
    return false;
  }
}

function describe(directory: string, set: CertificateSet): CertificateMaterial {
  return {
    caFile: join(directory, setFiles.ca),
    certificateFile: join(directory, setFiles.certificate),
    keyFile: join(directory, setFiles.key),
    caPem: set.ca,
    certificatePem: set.certificate,
    keyPem: set.key,
    fingerprint: fingerprintOf(set.ca),
  };
}
