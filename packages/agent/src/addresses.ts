import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
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

/** What the machine itself says of its network. */
export interface MachineNetwork {
  interfaces: ReturnType<typeof networkInterfaces>;
  /** Text of Linux's `/proc/net/route`, the IPv4 routes; empty where there is none. */
  routes: string;
}

/** The network of the machine that this runs on. */
export function readMachineNetwork(): MachineNetwork {
  let routes = '';
  try {
    routes = readFileSync('/proc/net/route', 'utf8');
  } catch {
    // No /proc, or a kernel without IPv4: the interfaces alone have to do.
  }
  return { interfaces: networkInterfaces(), routes };
}

/**
 * Addresses of this guest. `own` stands for loopback and wildcard alike where it is given; else others reach the VM by
 * the address that the CONTEXT names, by that of the interface of the default route, or by the first one that is not
 * loopback.
 */
export function guestAddresses(
  own: string | undefined,
  nic: string | undefined,
  readNetwork: () => MachineNetwork = readMachineNetwork,
): GuestAddresses {
  if (own !== undefined) return { loopback: own, published: own };
  return { loopback: '127.0.0.1', published: nic ?? outwardAddress(readNetwork()) ?? '127.0.0.1' };
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

function outwardAddress({ interfaces, routes }: MachineNetwork): string | undefined {
  const byRoute = defaultInterfaces(routes).map(name => addressOf(interfaces[name]));
  const inOrder = Object.values(interfaces).map(addressOf);
  return [...byRoute, ...inOrder].find(address => address !== undefined);
}

function addressOf(addresses: NetworkInterfaceInfo[] | undefined): string | undefined {
  return addresses?.find(({ internal, family }) => !internal && family === 'IPv4')?.address;
}

/** Of a route's flags (RTF_UP and RTF_REJECT of linux/route.h): in use, and refusing what goes there. */
const [routeUp, routeRefuses] = [0x0001, 0x0200];

/**
 * Interfaces of the default routes, the preferred (lowest metric) first. Columns of `/proc/net/route`: interface,
 * destination, gateway, flags, references, use, metric, mask; numbers other than the metric are hexadecimal.
 */
function defaultInterfaces(routes: string): string[] {
  return routes
    .split('\n')
    .map(line => line.split('\t').map(column => column.trim()))
    .filter(([, destination, , flags, , , , mask]) => {
      const bits = Number.parseInt(flags ?? '', 16);
      const everywhere = destination === '00000000' && mask === '00000000';
      return everywhere && (bits & routeUp) !== 0 && (bits & routeRefuses) === 0;
    })
    .toSorted((one, other) => Number(one[6]) - Number(other[6]))
    .flatMap(([name]) => name ?? []);
}
