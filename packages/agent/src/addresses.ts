import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type HostPort, parseHostPort } from '@oneflower/contract';

const wildcards = new Set(['0.0.0.0', '::']);
const loopbacks = new Set(['127.0.0.1', '::1', 'localhost']);

/** The addresses of a guest. */
export interface GuestAddresses {
  /** What stands for loopback: 127.0.0.1, or the guest's own where several guests share a machine. */
  loopback: string;
  /** Under which other VMs reach this one. */
  published: string;
}

/**
 * Addresses of this guest. `own` stands for loopback and wildcard alike where it is given; else others reach the VM
 * by the address that the CONTEXT names, or by the first one that is not loopback.
 */
export function guestAddresses(own: string | undefined, nic: string | undefined): GuestAddresses {
  if (own !== undefined) return { loopback: own, published: own };
  return { loopback: '127.0.0.1', published: nic ?? firstAddress() ?? '127.0.0.1' };
}

/** Where to listen for an address that a variable names. */
export function listenAddress(variable: string, own: string | undefined): HostPort {
  const address = parseHostPort(variable);
  if (!address) throw new TypeError(`${variable} is no HOST:PORT.`);
  const standsIn = wildcards.has(address.host) || loopbacks.has(address.host);
  return own !== undefined && standsIn ? { host: own, port: address.port } : address;
}

/** Under which address others reach what listens there. */
export function publishedAddress(listen: HostPort, published: string): HostPort {
  return wildcards.has(listen.host) ? { host: published, port: listen.port } : listen;
}

/** The address on which this machine itself reaches what listens there. */
export function ownAddress(listen: HostPort, loopback: string): HostPort {
  return wildcards.has(listen.host) ? { host: loopback, port: listen.port } : listen;
}

/** A name for a certificate. */
export function certificateName(host: string): { type: 'ip' | 'dns'; value: string } {
  return { type: isIP(host) === 0 ? 'dns' : 'ip', value: host };
}

function firstAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap(addresses => addresses ?? [])
    .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
}
