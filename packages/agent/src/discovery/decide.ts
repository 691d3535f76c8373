import {
  messageOf,
  type OneFlowerError,
  parseHostPort,
  type ReferenceName,
  readCertificates,
  readPem,
} from '@oneflower/contract';
import { failure } from '../failure.ts';

/** What is known of a SuperLink, as it was found. */
export interface Advertised {
  /** HOST:PORT of the gate. */
  endpoint: string;
  /** FL_TLS as it was published; undefined when nothing was. */
  tls: string | undefined;
  /** FL_CA_CERT as it was published: base64 of PEM. */
  ca: string | undefined;
  joinToken: string | undefined;
  /** Its VM; undefined where only OneGate knows it and was not asked. */
  vmId: number | undefined;
}

/** What the decision rests on. */
export interface DiscoveryInput {
  /** FL_SUPERLINK_ADDRESS. */
  address: string;
  references: Partial<Record<ReferenceName, string>>;
  oneGate: boolean;
  /** The SuperLink that was found before is gone: what the CONTEXT says of it may be outdated. */
  lost: boolean;
}

/** Where the SuperLink is to be looked for. */
export type DiscoverySource =
  | { from: 'address' | 'references'; advertised: Advertised }
  /** Ask OneGate; `otherwise` is what to use when it knows nothing. */
  | { from: 'onegate'; otherwise: Advertised | undefined };

const nothing = { tls: undefined, ca: undefined, joinToken: undefined, vmId: undefined };

/**
 * Decides where to look. A static address wins, and nothing is asked of OneGate then; what OneFlow has filled into the
 * CONTEXT comes next; OneGate last, but first once a SuperLink that was found is lost.
 *
 * @throws OneFlowerError `discovery_failed` when there is nowhere to look.
 */
export function chooseSource({ address, references, oneGate, lost }: DiscoveryInput): DiscoverySource {
  const referenced = advertisedByReferences(references);
  if (address !== '') {
    const advertised = { ...nothing, ...referenced, endpoint: address };
    return { from: 'address', advertised };
  }
  if (referenced && !(lost && oneGate)) return { from: 'references', advertised: referenced };
  if (oneGate) return { from: 'onegate', otherwise: referenced };
  throw failure('discovery_failed', 'FL_SUPERLINK_ADDRESS is empty and OneGate is not available.', {
    reason: 'The CONTEXT names no SuperLink and has no TOKEN=YES.',
    remedy: 'Set FL_SUPERLINK_ADDRESS, or TOKEN=YES in a OneFlow service that has a superlink role.',
    fault: 'user',
  });
}

function advertisedByReferences(references: DiscoveryInput['references']): Advertised | undefined {
  const endpoint = references.SUPERLINK_ENDPOINT;
  if (endpoint === undefined || !parseHostPort(endpoint)) return undefined;
  const { SUPERLINK_TLS: tls, SUPERLINK_CA_CERT: ca, SUPERLINK_JOIN_TOKEN: joinToken } = references;
  return { endpoint, tls, ca, joinToken, vmId: undefined };
}

/** A node of the superlink role as OneGate shows it. */
export interface SuperLinkNode {
  vmId: number;
  attributes: Readonly<Record<string, string | undefined>>;
}

/**
 * The SuperLink to join among the nodes of the role: one that says FL_READY=YES and has an address, wherever it stands
 * in the list. Undefined when none does.
 */
export function chooseNode(nodes: readonly SuperLinkNode[]): Advertised | undefined {
  for (const { vmId, attributes } of nodes) {
    const endpoint = attributes.FL_ENDPOINT;
    if (attributes.FL_READY !== 'YES' || endpoint === undefined || !parseHostPort(endpoint)) continue;
    return {
      endpoint,
      tls: attributes.FL_TLS,
      ca: attributes.FL_CA_CERT || undefined,
      joinToken: attributes.FL_JOIN_TOKEN || undefined,
      vmId,
    };
  }
  return undefined;
}

/** How the SuperLink is spoken to. */
export type Trust =
  | { mode: 'tls'; caPem: string; source: 'context' | 'published' }
  | { mode: 'insecure'; warning: string | undefined };

/**
 * Decides how to trust. TLS is on unless FL_TLS_ENABLED=NO is said; what is missing or garbled is an error and never
 * a way to go without.
 *
 * @throws OneFlowerError `trust_missing`
 */
export function decideTrust(tlsEnabled: boolean, givenCa: string, advertised: Advertised): Trust {
  if (!tlsEnabled) return { mode: 'insecure', warning: insecureWarning(advertised) };
  if (givenCa !== '') return { mode: 'tls', caPem: rewritten(givenCa), source: 'context' };
  if (advertised.ca !== undefined) {
    const published = readPem(advertised.ca, 'certificate');
    if (published === undefined) throw garbled('is no certificate');
    return { mode: 'tls', caPem: rewritten(published), source: 'published' };
  }
  if (advertised.tls?.toUpperCase() === 'NO') {
    throw failure('trust_missing', `The SuperLink at ${advertised.endpoint} says that it speaks no TLS.`, {
      reason: 'FL_TLS_ENABLED is NO on the SuperLink and not on this SuperNode.',
      remedy: 'Set FL_TLS_ENABLED to the same value on both; NO only in a network that you trust.',
    });
  }
  throw failure('trust_missing', `There is no CA certificate for the SuperLink at ${advertised.endpoint}.`);
}

/** Written anew from what was parsed: OpenSSL takes more out of a text than what is marked CERTIFICATE. */
function rewritten(pem: string): string {
  try {
    return readCertificates(pem).join('');
  } catch (error) {
    throw garbled(`holds a certificate that cannot be read: ${messageOf(error)}`);
  }
}

function garbled(what: string): OneFlowerError {
  return failure('trust_missing', `FL_CA_CERT, as it was published, ${what}.`, {
    reason: 'What the SuperLink publishes is damaged, or a VM of the service has changed it.',
  });
}

/**
 * The token to ask for enrolment with: the operator's, else the one that was published.
 *
 * @throws OneFlowerError `enrolment_refused`
 */
export function chooseJoinToken(given: string, { joinToken }: Pick<Advertised, 'joinToken'>): string {
  const token = given || joinToken;
  if (token) return token;
  throw failure('enrolment_refused', 'There is no join token to ask for enrolment with.', {
    reason: 'FL_JOIN_TOKEN is empty and the SuperLink has published none.',
    remedy: 'Set FL_JOIN_TOKEN to that of the SuperLink.',
  });
}

function insecureWarning({ tls }: Advertised): string | undefined {
  if (tls?.toUpperCase() !== 'YES') return undefined;
  return [
    'FL_TLS_ENABLED is NO here, but the SuperLink says that it speaks TLS.',
    'This SuperNode will not be able to connect, and would be neither encrypted nor authenticated if it could.',
    'Set FL_TLS_ENABLED to YES on all VMs of the service.',
  ].join('\n');
}
