import type { Clock } from '@oneflower/contract';
import type { FileOwner } from '../files.ts';

/** A name under which the gate is reached. */
export interface CertificateName {
  type: 'dns' | 'ip';
  value: string;
}

/**
 * An operator's own trio, PEM. `certificate` may be followed by its intermediates. It is for the gate: it need not name
 * loopback, so Flower itself, which its own command line and apps dial there, takes a set of ours.
 */
export interface GivenCertificates {
  ca: string;
  certificate: string;
  key: string;
}

export interface CertificateRequest {
  /** Becomes a link to the current set: ca.crt, server.pem, server.key. */
  certsDirectory: string;
  /** Root only; holds the CA and its key. Outside `certsDirectory`, so that Flower's user can never reach it. */
  caDirectory: string;
  /** Beside localhost, 127.0.0.1 and ::1, which are always there. */
  names: readonly CertificateName[];
  given?: GivenCertificates | undefined;
  clock: Clock;
  /** Flower's user, where the agent is root. */
  owner?: FileOwner | undefined;
}

export interface Certificates {
  caFile: string;
  certificateFile: string;
  keyFile: string;
  caPem: string;
  certificatePem: string;
  keyPem: string;
  /** SHA-256 of the CA certificate, lower-case hexadecimal. */
  fingerprint: string;
  /** When to call again, milliseconds since the epoch. */
  renewAt: number;
  /** Whether this call wrote another set than was there. */
  changed: boolean;
  /** What an operator should know of the given trio; sentences. */
  warnings: string[];
}
