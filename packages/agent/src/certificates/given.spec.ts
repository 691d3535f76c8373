import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@oneflower/contract';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureCertificates } from './index.ts';
import type { GivenCertificates } from './types.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-given-'));
  for (const type of ['rsa', 'ec']) makePki(type);
  run(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=other',
    '-keyout',
    'other.key',
    '-out',
    'other.crt',
  );
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('the trio of an operator', () => {
  for (const type of ['rsa', 'ec']) {
    it(`takes an ${type} chain with an intermediate, and puts it in place`, async () => {
      const given = await trio(type);
      const used = await use(given);
      expect(used.warnings).toEqual([]);
      const parts = ['verify', '-CAfile', used.caFile, '-untrusted', used.certificateFile, used.certificateFile];
      execFileSync('openssl', parts);
      expect(await readFile(used.keyFile, 'utf8')).toContain('PRIVATE KEY');
      expect((await use(given)).changed).toBe(false);
    });
  }

  it('is for the gate alone: Flower gets a set of ours that names loopback', async () => {
    const given = await trio('rsa');
    const used = await use(given);
    const { flower } = used;
    if (!flower) throw new Error('no set for Flower');
    expect(flower.caPem).not.toBe(used.caPem);
    const leaf = new X509Certificate(await readFile(flower.certificateFile));
    expect(leaf.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(leaf.verify(new X509Certificate(flower.caPem).publicKey)).toBe(true);
  });

  it('says what does not fit', async () => {
    const [rsa, ec] = [await trio('rsa'), await trio('ec')];
    const other = { crt: await text('other.crt'), key: await text('other.key') };
    const leafOnly = rsa.certificate.slice(0, rsa.certificate.indexOf('END CERTIFICATE') + 20);
    const reversed = rsa.certificate.slice(leafOnly.length) + leafOnly;
    const encrypted = execFileSync('openssl', ['pkey', '-aes128', '-passout', 'pass:x'], { input: rsa.key });
    const cases: [GivenCertificates, RegExp][] = [
      [{ ...rsa, ca: 'x' }, /FL_SSL_CA_CERTFILE holds no PEM certificate/],
      [{ ...rsa, certificate: '' }, /FL_SSL_CERTFILE holds no PEM certificate/],
      [{ ...rsa, key: 'x' }, /FL_SSL_KEYFILE holds no PEM private key/],
      [{ ...rsa, key: String(encrypted) }, /passphrase/],
      [{ ...rsa, key: other.key }, /not the key of the first certificate/],
      [{ ...rsa, key: ec.key }, /not the key of the first certificate/],
      [{ ...rsa, ca: other.crt }, /does not lead to FL_SSL_CA_CERTFILE/],
      [{ ...rsa, certificate: leafOnly }, /does not lead to FL_SSL_CA_CERTFILE.*intermediate/],
      [{ ...rsa, certificate: reversed }, /not the first in FL_SSL_CERTFILE/],
    ];
    for (const [given, reason] of cases) {
      await expect(use(given), String(reason)).rejects.toMatchObject({ code: 'tls_setup_failed', fault: 'user' });
      await expect(use(given)).rejects.toThrow(reason);
    }
  });

  it('refuses what has expired or is not yet valid', async () => {
    const given = await trio('ec');
    await expect(use(given, Date.now() + 4000 * 24 * 3600 * 1000)).rejects.toThrow(/has expired on/);
    await expect(use(given, Date.now() - 2 * 24 * 3600 * 1000)).rejects.toThrow(/is valid only from/);
  });

  it('refuses a certificate that is meant for clients', async () => {
    const given = await trio('ec');
    signLeaf('ec', 'extendedKeyUsage=clientAuth');
    await expect(
      use({ ...given, certificate: (await text('ec-leaf.crt')) + (await text('ec-mid.crt')) }),
    ).rejects.toThrow(/not meant for servers/);
    signLeaf('ec', 'extendedKeyUsage=serverAuth');
  });

  it('warns when no name of the VM is covered and when the end is near', async () => {
    const given = await trio('rsa');
    const used = await use(given, Date.now() + 350 * 24 * 3600 * 1000, '10.9.9.9');
    expect(used.warnings.join(' ')).toMatch(/covers none of this VM's names \(10\.9\.9\.9\).*expire on/);
  });
});

function use(given: GivenCertificates, now = Date.now(), address = '10.0.0.10') {
  const certsDirectory = join(folder, 'certs');
  const names = [{ type: 'ip' as const, value: address }];
  return ensureCertificates({
    certsDirectory,
    caDirectory: join(folder, 'ca'),
    names,
    given,
    clock: new FakeClock(now),
  });
}

async function trio(type: string): Promise<GivenCertificates> {
  const certificate = (await text(`${type}-leaf.crt`)) + (await text(`${type}-mid.crt`));
  return { ca: await text(`${type}-ca.crt`), certificate, key: await text(`${type}-leaf.key`) };
}

function makePki(type: string): void {
  const algorithm = type === 'rsa' ? ['rsa:2048'] : ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'];
  run(
    'req',
    '-x509',
    '-newkey',
    ...algorithm,
    '-nodes',
    '-days',
    '3000',
    '-subj',
    `/CN=${type} root`,
    '-keyout',
    `${type}-ca.key`,
    '-out',
    `${type}-ca.crt`,
  );
  run(
    'req',
    '-newkey',
    ...algorithm,
    '-nodes',
    '-subj',
    `/CN=${type} intermediate`,
    '-keyout',
    `${type}-mid.key`,
    '-out',
    `${type}-mid.csr`,
  );
  sign(`${type}-mid`, `${type}-ca`, 'basicConstraints=critical,CA:TRUE');
  run(
    'req',
    '-newkey',
    ...algorithm,
    '-nodes',
    '-subj',
    `/CN=${type} server`,
    '-keyout',
    `${type}-leaf.key`,
    '-out',
    `${type}-leaf.csr`,
  );
  signLeaf(type, 'extendedKeyUsage=serverAuth');
}

function signLeaf(type: string, extension: string): void {
  sign(`${type}-leaf`, `${type}-mid`, `${extension}\nsubjectAltName=IP:10.0.0.10`);
}

function sign(name: string, issuer: string, extensions: string): void {
  writeFileSync(join(folder, `${name}.ext`), extensions);
  run(
    'x509',
    '-req',
    '-in',
    `${name}.csr`,
    '-CA',
    `${issuer}.crt`,
    '-CAkey',
    `${issuer}.key`,
    '-CAcreateserial',
    '-days',
    '365',
    '-extfile',
    `${name}.ext`,
    '-out',
    `${name}.crt`,
  );
}

function run(...args: string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
}

function text(name: string): Promise<string> {
  return readFile(join(folder, name), 'utf8');
}
