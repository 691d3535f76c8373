import { OneFlowerError } from '@oneflower/contract';
import type { Notify } from '../notify.ts';
import { authorityFile, keepAuthority, knownSuperLinks, type RecordPlace, readAuthority } from '../service/records.ts';
import type { OperatorEndpoint } from '../service/vms.ts';

/** What a SuperLink shows of itself: `ca` is null where the connection would be made without TLS. */
type Sight = Pick<OperatorEndpoint, 'vmId' | 'ca'>;

/**
 * Holds what a SuperLink shows against what it showed first: every VM of a service may rewrite the attributes of the
 * others (OneGate's stock rules), but none can change the number of a VM. A VM that has not been seen is trusted as it
 * is; `notify` is told when another one has been known before.
 * @throws OneFlowerError `operator-untrusted` when the CA is another one, or none; `file-write`.
 */
export async function checkAuthority(
  place: RecordPlace,
  service: string,
  { vmId, ca }: Sight,
  notify: Notify,
): Promise<void> {
  const known = await readAuthority(place, service, vmId);
  if (known !== undefined) {
    if (known === ca?.sha256) return;
    throw changed(place, service, { vmId, ca }, known);
  }
  if (!ca) return;
  const others = await knownSuperLinks(place, service);
  if (!(await keepAuthority(place, service, vmId, ca.sha256))) {
    return checkAuthority(place, service, { vmId, ca }, notify);
  }
  if (others.length > 0) notify({ type: 'superlink_replaced', service, vmId, sha256: ca.sha256 });
}

/** Whether an error says that a SuperLink shows another CA than before. */
export function isChangedAuthority(error: OneFlowerError): boolean {
  return error.code === 'operator-untrusted' && error.details.known !== undefined;
}

function changed(place: RecordPlace, service: string, { vmId, ca }: Sight, known: string): OneFlowerError {
  const shown = ca?.sha256 ?? null;
  const shows =
    shown === null
      ? `no CA certificate any more; that of SHA-256 ${known} is known here`
      : `another CA certificate, of SHA-256 ${shown}, than is known here, of SHA-256 ${known}`;
  const file = authorityFile(place, service, vmId);
  return new OneFlowerError({
    code: 'operator-untrusted',
    message: `The SuperLink of ${service} (VM ${vmId}) shows ${shows}. Nothing was sent to it.`,
    reason:
      'Its certificates were changed on purpose, or its disk was made anew; or a VM of the service tampers with what the SuperLink publishes, to get the operator token.',
    remedy: `If you know of the change, and ca.crt on the SuperLink itself is that certificate, remove ${file}: the next command trusts what is published then. If not, leave it, and look for the VM of the service that was broken into.`,
    details: { vm: vmId, known, shown },
  });
}
