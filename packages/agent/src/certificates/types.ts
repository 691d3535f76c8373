import type { Clock } from '@oneflower/contract';
import type { FileOwner } from '../files.ts';

/** A name under which the gate is reached. */
export interface CertificateName {
  type: 'dns' | 'ip';
  value: string;
}

/** An operator's own trio, PEM, for the gate and the operator API. `certificate` may be followed by its intermediates. */
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

/** One set of certificates, as files and as text. */
export interface CertificateMaterial {
  caFile: string;
  certificateFile: string;
  keyFile: string;
  caPem: string;
  certificatePem: string;
  keyPem: string;
  /** SHA-256 of the CA certificate, lower-case hexadecimal. */
  fingerprint: string;
}

/** The set of the gate and the operator API, whose CA is published. */
export interface Certificates extends CertificateMaterial {
  /**
   * Where the operator's certificates are given: a set of ours for Flower on loopback, whose CA is also that by which
   * the agent, Flower's SuperExec and its command line trust it. They check the name, and an operator's certificate
   * need not name loopback (1.41: no run would ever start). Absent: Flower takes the same set.
   */
  flower?: CertificateMaterial | undefined;
  /** When to call again, milliseconds since the epoch. */
  renewAt: number;
  /** When the first of them is no good any more, milliseconds since the epoch. */
  expiresAt: number;
  /** Whether this call wrote another set than was there. */
  changed: boolean;
  /** What an operator should know of the certificates; sentences. */
  warnings: string[];
}
