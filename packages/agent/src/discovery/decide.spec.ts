import { X509Certificate } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { isOneFlowerError } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { type Advertised, chooseNode, chooseSource, decideTrust } from './decide.ts';

const [pem = '', otherPem = ''] = rootCertificates.map(certificate => String(new X509Certificate(certificate)));
const armoured = '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n';
const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('chooseSource', () => {
  const reference = { SUPERLINK_ENDPOINT: '10.0.0.5:9092', SUPERLINK_TLS: 'YES', SUPERLINK_JOIN_TOKEN: 'token' };
  // address, references, OneGate, lost -> where to look
  it.each([
    ['10.0.0.9:9092', false, false, false, 'address'],
    ['10.0.0.9:9092', true, true, false, 'address'],
    ['10.0.0.9:9092', true, true, true, 'address'],
    ['', true, false, false, 'references'],
    ['', true, true, false, 'references'],
    ['', true, true, true, 'onegate'],
    ['', true, false, true, 'references'],
    ['', false, true, false, 'onegate'],
    ['', false, true, true, 'onegate'],
    ['', false, false, false, 'nowhere'],
  ])('address %j, references %s, OneGate %s, lost %s -> %s', (address, referenced, oneGate, lost, expected) => {
    const input = { address, references: referenced ? reference : {}, oneGate, lost };
    const chosen = attempt(() => chooseSource(input).from);
    expect(chosen).toBe(expected === 'nowhere' ? 'discovery_failed' : expected);
  });

  it('keeps the address as it is given', () => {
    const input = { references: {}, oneGate: false, lost: false };
    expect(chooseSource({ ...input, address: '[::1]:9092' })).toMatchObject({ advertised: { endpoint: '[::1]:9092' } });
  });

  it('takes no reference that is no address', () => {
    const references = { SUPERLINK_ENDPOINT: 'nonsense' };
    expect(chooseSource({ address: '', references, oneGate: true, lost: false }).from).toBe('onegate');
  });
});

describe('chooseNode', () => {
  it('chooses the node that is ready, not the first', () => {
    const gone = { vmId: 3, attributes: { FL_READY: 'NO', FL_ENDPOINT: '10.0.0.4:9092' } };
    const here = {
      vmId: 4,
      attributes: { FL_READY: 'YES', FL_ENDPOINT: '10.0.0.5:9092', FL_TLS: 'YES', FL_CA_CERT: 'abc' },
    };
    expect(chooseNode([gone, here])).toEqual({
      endpoint: '10.0.0.5:9092',
      tls: 'YES',
      ca: 'abc',
      joinToken: undefined,
      vmId: 4,
    });
  });

  it.each([
    [[]],
    [[{ vmId: 3, attributes: {} }]],
    [[{ vmId: 3, attributes: { FL_READY: 'YES' } }]],
    [[{ vmId: 3, attributes: { FL_READY: 'YES', FL_ENDPOINT: '10.0.0.5' } }]],
    [[{ vmId: 3, attributes: { FL_READY: 'YESSIR', FL_ENDPOINT: '10.0.0.5:9092' } }]],
  ])('chooses none of %j', nodes => {
    expect(chooseNode(nodes)).toBeUndefined();
  });
});

describe('decideTrust', () => {
  const enabled = [true, false];
  const given = { none: '', given: otherPem };
  const tlsSaid = ['YES', 'NO', undefined];
  const caSaid = {
    good: base64(pem),
    bad: base64('no certificate'),
    garbage: '%%%',
    armoured: base64(armoured),
    half: base64(pem + armoured),
    absent: undefined,
  };

  const rows = enabled.flatMap(on =>
    Object.keys(given).flatMap(own =>
      tlsSaid.flatMap(tls => Object.keys(caSaid).map(ca => [on, own, tls, ca] as const)),
    ),
  );

  it.each(rows)('FL_TLS_ENABLED %s, CA %s, published FL_TLS %s and CA %s', (on, own, tls, ca) => {
    const advertised: Advertised = {
      endpoint: '10.0.0.5:9092',
      tls,
      ca: caSaid[ca as keyof typeof caSaid],
      joinToken: undefined,
      vmId: undefined,
    };
    const result = attempt(() => {
      const trust = decideTrust(on, given[own as keyof typeof given], advertised);
      return trust.mode === 'tls' ? trust.caPem : 'insecure';
    });
    const wanted = !on ? 'insecure' : own === 'given' ? otherPem : ca === 'good' ? pem : 'trust_missing';
    expect(result).toBe(wanted);
  });

  it('says so when the SuperLink speaks TLS and this node must not', () => {
    const advertised = { endpoint: 'a:1', tls: 'YES', ca: undefined, joinToken: undefined, vmId: undefined };
    const trust = decideTrust(false, '', advertised);
    expect(trust.mode === 'insecure' && trust.warning?.split('\n')).toHaveLength(3);
  });

  it('reads base64 of base64 too', () => {
    const advertised = { endpoint: 'a:1', tls: 'YES', ca: base64(base64(pem)), joinToken: undefined, vmId: undefined };
    expect(decideTrust(true, '', advertised)).toEqual({ mode: 'tls', caPem: pem, source: 'published' });
  });

  it('says what is wrong with a published CA that is garbage in the armour of PEM, and what to do', () => {
    const advertised = { endpoint: 'a:1', tls: 'YES', ca: base64(armoured), joinToken: undefined, vmId: undefined };
    expect(() => decideTrust(true, '', advertised)).toThrow(/FL_CA_CERT.*cannot be read: .*asn1/i);
    expect(explanation(() => decideTrust(true, '', advertised))).toContain('Set FL_SSL_CA_CERTFILE');
  });

  it('trusts the certificates of a bundle and nothing that stands around them', () => {
    const around = `x${pem}-----BEGIN X509 CERTIFICATE-----\nQUJD\n-----END X509 CERTIFICATE-----\n${otherPem}`;
    const advertised = { endpoint: 'a:1', tls: 'YES', ca: base64(around), joinToken: undefined, vmId: undefined };
    expect(decideTrust(true, '', advertised)).toMatchObject({ caPem: pem + otherPem });
  });
});

function explanation(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (isOneFlowerError(error)) return error.explain();
  }
  return '';
}

function attempt(run: () => string): string {
  try {
    return run();
  } catch (error) {
    if (isOneFlowerError(error)) return error.code;
    throw error;
  }
}
