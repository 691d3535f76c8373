import { describe, expect, it } from 'vitest';
import { certificateName, guestAddresses, listenAddress, ownAddress, publishedAddress } from './addresses.ts';

describe('addresses', () => {
  it('stand for loopback and wildcard where a guest has one of its own', () => {
    for (const host of ['0.0.0.0', '127.0.0.1', 'localhost', '[::]', '[::1]']) {
      expect(listenAddress(`${host}:9092`, '127.20.1.7')).toEqual({ host: '127.20.1.7', port: 9092 });
    }
    expect(listenAddress('10.0.0.5:9092', '127.20.1.7')).toEqual({ host: '10.0.0.5', port: 9092 });
    expect(guestAddresses('127.20.1.7', '10.0.0.5')).toEqual({ loopback: '127.20.1.7', published: '127.20.1.7' });
  });

  it('are those of the variables and of the CONTEXT in a VM', () => {
    expect(listenAddress('0.0.0.0:9092', undefined)).toEqual({ host: '0.0.0.0', port: 9092 });
    expect(guestAddresses(undefined, '10.0.0.5')).toEqual({ loopback: '127.0.0.1', published: '10.0.0.5' });
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
