import { execFileSync, spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@oneflower/contract';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureCertificates } from './index.ts';
import type { CertificateName, CertificateRequest, Certificates } from './types.ts';

const day = 24 * 3600 * 1000;
const ip = (value: string): CertificateName => ({ type: 'ip', value });
const dns = (value: string): CertificateName => ({ type: 'dns', value });

let folder: string;
let clock: FakeClock;
let request: CertificateRequest;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-certs-'));
  clock = new FakeClock(Date.now());
  request = {
    certsDirectory: join(folder, 'certs'),
    caDirectory: join(folder, 'ca'),
    names: [ip('10.0.0.10'), dns('Link.example.org')],
    clock,
  };
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('ensureCertificates', () => {
  it('makes a strict-clean chain, for loopback and the names asked for', async () => {
    const made = await ensureCertificates(request);
    execFileSync('openssl', ['verify', '-x509_strict', '-CAfile', made.caFile, made.certificateFile]);
    execFileSync('openssl', ['verify', '-x509_strict', '-CAfile', made.caFile, made.caFile]);
    const leaf = new X509Certificate(made.certificatePem);
    for (const address of ['10.0.0.10', '127.0.0.1', '::1']) expect(leaf.checkIP(address)).toBe(address);
    for (const host of ['localhost', 'link.example.org']) expect(leaf.checkHost(host)).toBe(host);
    expect(leaf.checkIP('10.0.0.1')).toBeUndefined();
    expect(Date.parse(leaf.validFrom)).toBeLessThanOrEqual(clock.now() - 5 * 60 * 1000);
    expect((Date.parse(leaf.validTo) - clock.now()) / day).toBeCloseTo(397, 0);
    const ca = new X509Certificate(made.caPem);
    expect((Date.parse(ca.validTo) - clock.now()) / day).toBeCloseTo(3650, 0);
    expect(made.fingerprint).toBe(ca.fingerprint256.replaceAll(':', '').toLowerCase());
  });

  it("passes Python's default context with strict verification, and its own verification fails for another name", async () => {
    const made = await ensureCertificates(request);
    expect(pythonHandshake(made, 'link.example.org')).toBe('ok');
    expect(pythonHandshake(made, '10.0.0.10')).toBe('ok');
    expect(pythonHandshake(made, '10.0.0.1')).toContain('IP address mismatch');
  });

  it('keeps everything when nothing has changed', async () => {
    const first = await ensureCertificates(request);
    await clock.advance(300 * day);
    const second = await ensureCertificates({
      ...request,
      names: [dns('LINK.example.org'), ip('10.0.0.10'), ip('::1')],
    });
    expect(second).toEqual({ ...first, changed: false });
  });

  it('issues only the leaf anew near its end, and at its end the CA still stands', async () => {
    const first = await ensureCertificates(request);
    expect(first.renewAt - clock.now()).toBeCloseTo(367 * day, -5);
    await clock.advance(first.renewAt - clock.now() + 1000);
    const second = await ensureCertificates(request);
    expect(second.changed).toBe(true);
    expect(second.caPem).toBe(first.caPem);
    expect(second.certificatePem).not.toBe(first.certificatePem);
    expect(second.renewAt).toBeGreaterThan(first.renewAt + 300 * day);
  });

  it('tells 10.0.0.1 from 10.0.0.10', async () => {
    const first = await ensureCertificates({ ...request, names: [ip('10.0.0.10')] });
    const second = await ensureCertificates({ ...request, names: [ip('10.0.0.1')] });
    expect(second.changed).toBe(true);
    expect(second.fingerprint).toBe(first.fingerprint);
    const leaf = new X509Certificate(second.certificatePem);
    expect(leaf.checkIP('10.0.0.1')).toBe('10.0.0.1');
    expect(leaf.checkIP('10.0.0.10')).toBeUndefined();
  });

  it('issues the leaf anew when its key is another or its file is damaged', async () => {
    const first = await ensureCertificates(request);
    const other = await ensureCertificates({ ...request, certsDirectory: join(folder, 'other') });
    await writeFile(first.keyFile, other.keyPem);
    const second = await ensureCertificates(request);
    expect([second.changed, second.fingerprint]).toEqual([true, first.fingerprint]);
    await writeFile(second.certificateFile, 'garbage');
    const third = await ensureCertificates(request);
    expect([third.changed, third.fingerprint]).toEqual([true, first.fingerprint]);
  });

  it('makes a new CA only where the old one is lost or at its end, and says so', async () => {
    const first = await ensureCertificates(request);
    await writeFile(join(request.caDirectory, 'ca.key'), 'garbage');
    const second = await ensureCertificates(request);
    expect(second.fingerprint).not.toBe(first.fingerprint);
    expect(second.warnings.join()).toContain('damaged');
    await clock.advance(3640 * day);
    const third = await ensureCertificates(request);
    expect(third.fingerprint).not.toBe(second.fingerprint);
    expect(third.warnings.join()).toContain('expires');
  });

  it('never lets a leaf outlive its CA', async () => {
    await ensureCertificates(request);
    await clock.advance(3500 * day);
    const late = await ensureCertificates(request);
    const [leaf, ca] = [new X509Certificate(late.certificatePem), new X509Certificate(late.caPem)];
    expect(Date.parse(leaf.validTo)).toBe(Date.parse(ca.validTo));
  });

  it('keeps private keys private', async () => {
    const made = await ensureCertificates(request);
    const mode = async (path: string) => (await stat(path)).mode & 0o777;
    expect(await mode(request.caDirectory)).toBe(0o700);
    expect(await mode(join(request.caDirectory, 'ca.key'))).toBe(0o600);
    expect(await mode(request.certsDirectory)).toBe(0o700);
    expect(await mode(made.keyFile)).toBe(0o600);
    expect(await mode(made.caFile)).toBe(0o644);
    expect(await readdir(request.certsDirectory)).not.toContain('ca.key');
  });

  it.runIf(process.getuid?.() === 0)(
    "lets Flower's user read its key, but neither write nor see the CA's",
    async () => {
      execFileSync('chmod', ['755', folder]);
      const made = await ensureCertificates({ ...request, owner: { uid: 4321, gid: 4321 } });
      const asFlower = (program: string, ...args: string[]) =>
        spawnSync(program, args, { uid: 4321, gid: 4321, encoding: 'utf8' }).status;
      expect(asFlower('cat', made.keyFile, made.certificateFile, made.caFile)).toBe(0);
      expect(asFlower('touch', join(request.certsDirectory, 'x'))).not.toBe(0);
      expect(asFlower('cat', join(request.caDirectory, 'ca.key'))).not.toBe(0);
      const asOther = spawnSync('cat', [made.keyFile], { uid: 4322, gid: 4322 }).status;
      expect(asOther).not.toBe(0);
    },
  );

  it('survives what an interruption leaves: the old set stays, the next call clears up', async () => {
    const first = await ensureCertificates(request);
    await mkdir(join(request.certsDirectory, 'set-interrupted'));
    await writeFile(join(request.certsDirectory, 'set-interrupted', 'server.key'), 'half');
    await symlink('set-interrupted', join(request.certsDirectory, '.current.abc.new'));
    expect(await ensureCertificates(request)).toEqual({ ...first, changed: false });
    await ensureCertificates({ ...request, names: [ip('10.0.0.7')] });
    const left = await readdir(request.certsDirectory);
    expect(left.filter(name => name.startsWith('set-'))).toHaveLength(1);
    expect(left.filter(name => name.endsWith('.new'))).toEqual([]);
  });

  it('survives a CA of which only the key was written', async () => {
    await mkdir(request.caDirectory);
    await writeFile(join(request.caDirectory, 'ca.key'), 'half');
    const made = await ensureCertificates(request);
    execFileSync('openssl', ['verify', '-CAfile', made.caFile, made.certificateFile]);
    expect(made.warnings).toEqual([]);
  });

  it('never shows a mix while it is killed again and again', async () => {
    await ensureCertificates(request);
    const program = `
      import { systemClock } from '@oneflower/contract';
      import { ensureCertificates } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))};
      for (let n = 1; ; n++) await ensureCertificates({ certsDirectory: process.argv[1], caDirectory: process.argv[2],
        names: [{ type: 'ip', value: '10.0.0.' + (n % 250) }], clock: systemClock });`;
    const args = ['--input-type=module-typescript', '-e', program, '--', request.certsDirectory, request.caDirectory];
    for (const timeout of [700, 777, 850]) {
      spawnSync(process.execPath, args, { timeout, killSignal: 'SIGKILL', cwd: import.meta.dirname });
      const read = (name: string) => readFile(join(request.certsDirectory, name), 'utf8');
      const leaf = new X509Certificate(await read('server.pem'));
      const ca = new X509Certificate(await read('ca.crt'));
      const { createPrivateKey } = await import('node:crypto');
      expect(leaf.checkPrivateKey(createPrivateKey(await read('server.key')))).toBe(true);
      expect(leaf.verify(ca.publicKey)).toBe(true);
    }
  });

  it('refuses a name that cannot stand in a certificate', async () => {
    for (const name of [ip('10.0.0.300'), dns('a b'), dns('x\n'), dns('')]) {
      await expect(ensureCertificates({ ...request, names: [name] })).rejects.toMatchObject({
        code: 'tls_setup_failed',
      });
    }
  });

  it('says so when the folder cannot be written', async () => {
    await writeFile(join(folder, 'file'), '');
    const impossible = { ...request, certsDirectory: join(folder, 'file', 'certs') };
    await expect(ensureCertificates(impossible)).rejects.toMatchObject({ code: 'state_write_failed' });
  });
});

function pythonHandshake({ caFile, certificateFile, keyFile }: Certificates, name: string): string {
  const args = ['-c', handshakeProgram, caFile, certificateFile, keyFile, name];
  return execFileSync('python3', args, { encoding: 'utf8' }).trim();
}

const handshakeProgram = `
import ssl, sys
ca, certificate, key, name = sys.argv[1:]
client = ssl.create_default_context(cafile=ca)
client.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
server.load_cert_chain(certificate, key)
a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
one, two = client.wrap_bio(a, b, server_hostname=name), server.wrap_bio(b, a, server_side=True)
try:
    for _ in range(5):
        for side in (one, two):
            try: side.do_handshake()
            except ssl.SSLWantReadError: pass
    assert one.getpeercert()
    print('ok')
except ssl.SSLCertVerificationError as error:
    print(error.verify_message)
`;
