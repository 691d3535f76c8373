import { createHash, type X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { readCertificates, readPem } from '@oneflower/contract';
import * as z from 'zod';
import { failure } from '../failure.ts';
import { writeFileAtomic } from '../files.ts';
import type { Advertised, Trust } from './decide.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const CaPin = z.object({
  /** Fingerprints of the certificates, and of their public keys, which a renewed certificate may keep. */
  certificates: z.array(z.object({ sha256, publicKeySha256: sha256 })).min(1),
  /** VM of the SuperLink; null where that was never known. Ids come from oned: no guest can change them. */
  superLinkVm: z.number().int().nonnegative().nullable(),
});

/** What a SuperNode has trusted when it was enrolled last. */
type CaPin = z.infer<typeof CaPin>;

type TlsTrust = Extract<Trust, { mode: 'tls' }>;

/**
 * The pin in a file; undefined when there is none.
 *
 * @throws OneFlowerError `trust_changed` when it cannot be read: then nobody knows what was trusted.
 */
export async function readCaPin(file: string): Promise<CaPin | undefined> {
  try {
    return CaPin.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw failure('trust_changed', `What this node has trusted cannot be read from ${file}.`, {
      reason: 'The file is damaged.',
      remedy: remedy(file),
      cause: error,
    });
  }
}

/**
 * Compares a CA that was published with the one that this node has trusted before: any VM of the service can rewrite
 * what another one publishes (OneGate's `update_by_id`).
 *
 * @returns a warning where another VM is the SuperLink now, whose CA is trusted anew.
 * @throws OneFlowerError `trust_changed`
 */
export function checkCa(
  { file, pin }: { file: string; pin: CaPin | undefined },
  { caPem }: TlsTrust,
  { endpoint, vmId }: Pick<Advertised, 'endpoint' | 'vmId'>,
): string | undefined {
  const shown = fingerprintsOf(readCertificates(caPem));
  if (!pin || isKnown(shown, pin)) return undefined;
  const [before, now] = [pin.certificates, shown].map(list => list.map(each => each.sha256).join(', '));
  if (vmId !== undefined && pin.superLinkVm !== null && vmId !== pin.superLinkVm) {
    return `The SuperLink is VM ${vmId} and was VM ${pin.superLinkVm}: its CA certificate, SHA-256 ${now}, is trusted anew.`;
  }
  throw failure(
    'trust_changed',
    `The SuperLink at ${endpoint} publishes another CA certificate than the one that this node trusts: SHA-256 ${now}, not ${before}.`,
    { remedy: remedy(file) },
  );
}

/**
 * Keeps, for the agent alone, the CA with which the node was enrolled, and the VM where it was.
 *
 * @param findVm asked only where neither discovery nor the pin knows the VM.
 * @throws OneFlowerError `state_write_failed`
 */
export async function keepCa(
  file: string,
  { caPem }: TlsTrust,
  vmId: number | undefined,
  findVm: () => Promise<number | undefined>,
): Promise<void> {
  const before = await readCaPin(file).catch(() => undefined);
  const certificates = fingerprintsOf(readCertificates(caPem));
  const knownVm = before && isKnown(certificates, before) ? before.superLinkVm : null;
  const pin: CaPin = { certificates, superLinkVm: vmId ?? knownVm ?? (await findVm()) ?? null };
  if (JSON.stringify(pin) === JSON.stringify(before)) return;
  await writeFileAtomic(file, `${JSON.stringify(pin)}\n`, { mode: 0o600 });
}

/** Whether a CA that was published is not the one of the pin, whoever has published it. */
export function isOutdated(published: string | undefined, pin: CaPin | undefined): boolean {
  const pem = published === undefined ? undefined : readPem(published, 'certificate');
  if (pem === undefined || !pin) return false;
  try {
    return !isKnown(fingerprintsOf(readCertificates(pem)), pin);
  } catch {
    return true;
  }
}

function fingerprintsOf(certificates: readonly X509Certificate[]): CaPin['certificates'] {
  const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
  return certificates.map(({ raw, publicKey }) => ({
    sha256: hash(raw),
    publicKeySha256: hash(publicKey.export({ type: 'spki', format: 'der' })),
  }));
}

/** Each key must be known: a CA that was added would be trusted like the others. */
function isKnown(certificates: CaPin['certificates'], pin: CaPin): boolean {
  const keys = new Set(pin.certificates.map(({ publicKeySha256 }) => publicKeySha256));
  return certificates.every(({ publicKeySha256 }) => keys.has(publicKeySha256));
}

function remedy(file: string): string {
  return `Look at the SuperLink which CA is right and set FL_SSL_CA_CERTFILE to it; or remove ${file} on this node, to trust what is published.`;
}
