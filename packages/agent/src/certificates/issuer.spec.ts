import { X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { createIssuer, type Issuer, issuingArgument } from './issuer.ts';

const now = Date.UTC(2026, 0, 1);
let issuer: Issuer | undefined;

afterEach(() => issuer?.close());

async function issuingProcesses(): Promise<number[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number);
  const ours = await Promise.all(
    pids.map(async pid => {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
      const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      return status.includes(`\nPPid:\t${process.pid}\n`) && command.includes(`\0${issuingArgument}\0`);
    }),
  );
  return pids.filter((_, index) => ours[index]);
}

describe('an issuer', () => {
  it('issues a CA and what is under it in one process, which ends with it', async () => {
    issuer = createIssuer();
    const ca = await issuer.issue({ kind: 'ca', now });
    const leaf = await issuer.issue({ kind: 'leaf', ca, names: [{ type: 'dns', value: 'link.example' }], now });
    const authority = new X509Certificate(ca.certificatePem);
    expect(new X509Certificate(leaf.certificatePem).verify(authority.publicKey)).toBe(true);
    await expect(issuingProcesses()).resolves.toHaveLength(1);
    issuer.close();
    await expect.poll(issuingProcesses, { timeout: 10_000 }).toEqual([]);
  });

  it('says so when its process is ended', async () => {
    issuer = createIssuer();
    const issuing = issuer.issue({ kind: 'ca', now });
    const outcome = expect(issuing).rejects.toThrow('ended with SIGKILL');
    const [pid = 0] = await issuingProcesses();
    process.kill(pid, 'SIGKILL');
    await outcome;
  });

  it('says so when an order cannot be carried out', async () => {
    issuer = createIssuer();
    const ca = { certificatePem: 'no certificate', keyPem: 'no key' };
    await expect(issuer.issue({ kind: 'leaf', ca, names: [], now })).rejects.toThrow('PEM');
  });
});
