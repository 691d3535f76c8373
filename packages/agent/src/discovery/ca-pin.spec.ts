import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { issueCa, type KeyPair } from '../certificates/issue.ts';
import { temporaryFolder } from '../testing/temporary.ts';
import { checkCa, isOutdated, keepCa, readCaPin } from './ca-pin.ts';

const endpoint = '10.0.0.5:9092';
const noVm = async () => undefined;

function trust(...authorities: KeyPair[]) {
  const caPem = authorities.map(({ certificatePem }) => certificatePem).join('');
  return { mode: 'tls', caPem, source: 'published' } as const;
}

async function world(pinned: KeyPair[], vmId: number | undefined) {
  const file = join(await temporaryFolder(), 'trusted-ca.json');
  await keepCa(file, trust(...pinned), vmId, noVm);
  return {
    file,
    check: async (shown: KeyPair[], shownVm: number | undefined) =>
      checkCa({ file, pin: await readCaPin(file) }, trust(...shown), { endpoint, vmId: shownVm }),
  };
}

/** Another certificate of the same key, as after a renewal. */
async function renewed(authority: KeyPair): Promise<KeyPair> {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'ca.key'), authority.keyPem);
  const args = ['req', '-x509', '-key', 'ca.key', '-subj', '/CN=Renewed', '-days', '30'];
  const certificatePem = execFileSync('openssl', args, { cwd: folder, encoding: 'utf8', stdio: 'pipe' });
  return { ...authority, certificatePem };
}

describe('the CA that a node keeps', () => {
  it('is for the agent alone, with the VM of the SuperLink, which is asked for only where it is not known', async () => {
    const authority = await issueCa(Date.now());
    const { file } = await world([authority], undefined);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readCaPin(file)).toMatchObject({ superLinkVm: null });
    await keepCa(file, trust(authority), undefined, async () => 7);
    await keepCa(file, trust(authority), undefined, () => Promise.reject(new Error('asked')));
    const sha256 = new X509Certificate(authority.certificatePem).fingerprint256.replaceAll(':', '').toLowerCase();
    expect(await readCaPin(file)).toMatchObject({ superLinkVm: 7, certificates: [{ sha256 }] });
    await keepCa(file, trust(await issueCa(Date.now())), undefined, noVm);
    expect(await readCaPin(file)).toMatchObject({ superLinkVm: null });
  });

  it('is trusted from any VM, also when its certificate was renewed, and when it is one of those before', async () => {
    const [one, other] = [await issueCa(Date.now()), await issueCa(Date.now())];
    const { check } = await world([one, other], 7);
    for (const shown of [[one, other], [other], [await renewed(one)]]) {
      for (const vmId of [7, 9, undefined]) expect(await check(shown, vmId)).toBeUndefined();
    }
  });

  // VM of the pin, VM that publishes
  it.each([
    [7, 7],
    [7, undefined],
    [undefined, 7],
    [undefined, undefined],
  ])('is not replaced by another where VM %s was trusted and VM %s publishes it', async (before, now) => {
    const [one, other] = [await issueCa(Date.now()), await issueCa(Date.now())];
    const { file, check } = await world([one], before);
    const [known, shown] = [one, other].map(({ certificatePem }) =>
      new X509Certificate(certificatePem).fingerprint256.replaceAll(':', '').toLowerCase(),
    );
    await expect(check([other], now)).rejects.toMatchObject({
      code: 'trust_changed',
      message: expect.stringMatching(new RegExp(`${endpoint}.*${shown}, not ${known}`)),
      reason: expect.stringContaining('tampers'),
      remedy: expect.stringContaining(`FL_SSL_CA_CERTFILE to it; or remove ${file}`),
    });
    await expect(check([one, other], now)).rejects.toMatchObject({ code: 'trust_changed' });
  });

  it('is replaced by that of another VM, with a warning', async () => {
    const { check } = await world([await issueCa(Date.now())], 7);
    expect(await check([await issueCa(Date.now())], 9)).toMatch(/VM 9 and was VM 7: .* trusted anew/);
  });

  it.each(['', '{}', '{"certificates":[],"superLinkVm":7}', 'null'])('is not forgotten as %j', async text => {
    const { file, check } = await world([await issueCa(Date.now())], 7);
    await writeFile(file, text);
    await expect(check([await issueCa(Date.now())], 9)).rejects.toMatchObject({ code: 'trust_changed' });
  });

  it('says of a CONTEXT whether it names another', async () => {
    const [one, other] = [await issueCa(Date.now()), await issueCa(Date.now())];
    const { file } = await world([one], 7);
    const pin = await readCaPin(file);
    const base64 = ({ certificatePem }: KeyPair) => Buffer.from(certificatePem).toString('base64');
    expect(isOutdated(base64(one), pin)).toBe(false);
    expect(isOutdated(base64(other), pin)).toBe(true);
    expect(isOutdated(base64(other), undefined)).toBe(false);
    expect(isOutdated(undefined, pin)).toBe(false);
  });
});
