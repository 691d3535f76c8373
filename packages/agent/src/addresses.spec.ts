import { describe, expect, it } from 'vitest';
import {
  certificateName,
  guestAddresses,
  listenAddress,
  type MachineNetwork,
  ownAddress,
  publishedAddress,
} from './addresses.ts';

const heading = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT';

/** A machine with these interfaces, in this order, and these routes: interface, destination, flags, metric, mask. */
function machine(addresses: Record<string, string>, ...routes: [string, string, string, number, string][]) {
  const interfaces: MachineNetwork['interfaces'] = {};
  for (const [name, address] of Object.entries(addresses)) {
    const internal = name === 'lo';
    const rest = { netmask: '255.255.255.0', mac: '02:00:c0:a8:00:01', cidr: null };
    interfaces[name] = [
      { ...rest, family: 'IPv6', address: 'fe80::1', scopeid: 2, internal },
      { ...rest, family: 'IPv4', address, internal },
    ];
  }
  const lines = routes.map(
    ([name, to, flags, metric, mask]) => `${name}\t${to}\t0102A8C0\t${flags}\t0\t0\t${metric}\t${mask}\t0\t0\t0`,
  );
  return { interfaces, routes: [heading, ...lines, ''].join('\n') };
}

const published = (network: MachineNetwork) => guestAddresses(undefined, undefined, () => network).published;

function unread(): never {
  throw new Error('The interfaces need not be read.');
}

describe('addresses', () => {
  it('stand for loopback and wildcard where a guest has one of its own', () => {
    for (const host of ['0.0.0.0', '127.0.0.1', 'localhost', '[::]', '[::1]']) {
      expect(listenAddress(`${host}:9092`, '127.20.1.7')).toEqual({ host: '127.20.1.7', port: 9092 });
    }
    expect(listenAddress('10.0.0.5:9092', '127.20.1.7')).toEqual({ host: '10.0.0.5', port: 9092 });
    expect(guestAddresses('127.20.1.7', '10.0.0.5', unread)).toEqual({
      loopback: '127.20.1.7',
      published: '127.20.1.7',
    });
  });

  it('are those of the variables and of the CONTEXT in a VM', () => {
    expect(listenAddress('0.0.0.0:9092', undefined)).toEqual({ host: '0.0.0.0', port: 9092 });
    expect(guestAddresses(undefined, '10.0.0.5', unread)).toEqual({ loopback: '127.0.0.1', published: '10.0.0.5' });
  });

  it('are those of the default route where the CONTEXT names none', () => {
    const three = { lo: '127.0.0.1', docker0: '172.17.0.1', eth0: '10.0.0.5', eth1: '192.168.2.7' };
    const local = ['docker0', '000011AC', '0001', 0, '0000FFFF'] as const;
    const eth0 = ['eth0', '00000000', '0003', 200, '00000000'] as const;
    const eth1 = ['eth1', '00000000', '0003', 100, '00000000'] as const;
    expect(published(machine(three, [...local], [...eth0]))).toBe('10.0.0.5');
    expect(published(machine(three, [...local], [...eth0], [...eth1]))).toBe('192.168.2.7');
    // Down, or a route that refuses.
    for (const flags of ['0002', '0201']) {
      const useless = ['eth1', '00000000', flags, 0, '00000000'] as const;
      expect(published(machine(three, [...useless], [...eth0]))).toBe('10.0.0.5');
    }
    // Half of the world is no default route (as VPNs set it).
    const half = ['eth1', '00000000', '0003', 0, '00000080'] as const;
    expect(published(machine(three, [...half], [...eth0]))).toBe('10.0.0.5');
  });

  it('are those of the first interface where no default route leads to one', () => {
    const two = { lo: '127.0.0.1', eth0: '10.0.0.5', eth1: '192.168.2.7' };
    expect(published(machine(two))).toBe('10.0.0.5');
    expect(published(machine(two, ['wg0', '00000000', '0003', 0, '00000000']))).toBe('10.0.0.5');
    expect(published({ ...machine(two), routes: 'garbage' })).toBe('10.0.0.5');
    expect(published(machine({ lo: '127.0.0.1' }))).toBe('127.0.0.1');
  });

  it('are published as others reach them, and dialled as the VM itself does', () => {
    const everywhere = { host: '0.0.0.0', port: 9092 };
    const one = { host: '10.0.0.6', port: 9092 };
    expect(publishedAddress(everywhere, '10.0.0.5').host).toBe('10.0.0.5');
    expect(publishedAddress(one, '10.0.0.5').host).toBe('10.0.0.6');
    expect(ownAddress(everywhere, '127.0.0.1').host).toBe('127.0.0.1');
    expect(ownAddress(one, '127.0.0.1').host).toBe('10.0.0.6');
  });

  it('stand in certificates by their kind', () => {
    expect(certificateName('10.0.0.5')).toEqual({ type: 'ip', value: '10.0.0.5' });
    expect(certificateName('fd00::5')).toEqual({ type: 'ip', value: 'fd00::5' });
    expect(certificateName('link.example')).toEqual({ type: 'dns', value: 'link.example' });
  });
});
