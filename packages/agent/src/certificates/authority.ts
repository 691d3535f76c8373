import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stateWriteFailed, writeFileAtomic } from '../files.ts';
import type { KeyPair } from './issue.ts';
import type { Issuer } from './issuer.ts';

export interface Authority extends KeyPair {
  warnings: string[];
}

/** A CA this close to its end issues no more leaves: they would end with it. */
const lastDays = 30 * 24 * 3600 * 1000;

/**
 * The service's own CA: kept for its ten years, because every SuperNode trusts it. Its folder is root's alone.
 *
 * @throws OneFlowerError `state_write_failed`
 */
export async function ensureAuthority(directory: string, now: number, issuer: Issuer): Promise<Authority> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await chmod(directory, 0o700);
  } catch (error) {
    throw stateWriteFailed(directory, error);
  }
  const existing = await readPair(directory);
  const trouble = existing && troubleWith(existing, now);
  if (existing && trouble === undefined) return { ...existing, warnings: [] };
  const made = await issuer.issue({ kind: 'ca', now });
  // The key first: a certificate without its key would be taken for a CA that has lost it.
  await writeFileAtomic(join(directory, 'ca.key'), made.keyPem, { mode: 0o600 });
  await writeFileAtomic(join(directory, 'ca.crt'), made.certificatePem, { mode: 0o644 });
  const warnings = trouble
    ? [`A new CA was made because ${trouble}: give it to nodes that were given the old one.`]
    : [];
  return { ...made, warnings };
}

/** Undefined when no CA was ever finished: its certificate is written last. */
async function readPair(directory: string): Promise<KeyPair | undefined> {
  const certificatePem = await readText(join(directory, 'ca.crt'));
  if (certificatePem === undefined) return undefined;
  return { certificatePem, keyPem: (await readText(join(directory, 'ca.key'))) ?? '' };
}

function troubleWith({ certificatePem, keyPem }: KeyPair, now: number): string | undefined {
  try {
    const certificate = new X509Certificate(certificatePem);
    if (!certificate.checkPrivateKey(createPrivateKey(keyPem))) return 'its key does not fit its certificate';
    if (Date.parse(certificate.validTo) - now < lastDays) return 'it expires within 30 days';
    return undefined;
  } catch {
    return 'its files are damaged or missing';
  }
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
