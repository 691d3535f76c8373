import { isIP } from 'node:net';

/** A host and a TCP port. The host of an IPv6 address is without brackets. */
export interface HostPort {
  host: string;
  port: number;
}

const hostName =
  /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

/** True for an IPv4 or IPv6 address or a DNS name (RFC 1123). */
export function isHost(text: string): boolean {
  if (isIP(text) !== 0) return true;
  const looksNumeric = /^[\d.]+$/.test(text);
  return !looksNumeric && hostName.test(text);
}

/** Reads `HOST:PORT` or `[IPV6]:PORT`; undefined when it is neither. */
export function parseHostPort(text: string): HostPort | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const host = match[1] ?? match[2] ?? '';
  const port = Number(match[3]);
  const hostFits = match[1] === undefined ? isHost(host) : isIP(host) === 6;
  return hostFits && port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** Writes a host and port as {@link parseHostPort} reads it. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
