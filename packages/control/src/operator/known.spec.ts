import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Progress } from '../notify.ts';
import { authorityFile, type RecordPlace, removeRecord, removeRecords } from '../service/records.ts';
import { checkAuthority } from './known.ts';

const right = { pem: '', sha256: 'a'.repeat(64) };
const wrong = { pem: '', sha256: 'b'.repeat(64) };

let place: RecordPlace;
beforeEach(async () => {
  place = { home: await mkdtemp(join(tmpdir(), 'oneflower-known-')), cloudKey: 'test' };
});
afterEach(() => rm(place.home, { recursive: true, force: true }));

async function check(vmId: number, ca: typeof right | null, service = 'flower'): Promise<Progress[]> {
  const progress: Progress[] = [];
  await checkAuthority(place, service, { vmId, ca }, one => void progress.push(one));
  return progress;
}

describe('the CA of a SuperLink', () => {
  it('is kept at first sight, for its owner alone, and without a word', async () => {
    expect(await check(3, right)).toEqual([]);
    expect(await check(3, right)).toEqual([]);
    expect((await stat(authorityFile(place, 'flower', 3))).mode & 0o777).toBe(0o600);
    expect(await readdir(join(place.home, 'services', 'test'))).toHaveLength(1);
  });

  it.each([
    ['another one', wrong, 'another CA certificate'],
    ['none', null, 'no CA certificate any more'],
  ])('is refused when the same VM shows %s, with the file that says otherwise', async (_, shown, words) => {
    await check(3, right);
    await expect(check(3, shown)).rejects.toMatchObject({
      code: 'operator-untrusted',
      message: expect.stringContaining(words),
      reason: expect.stringContaining('tampers'),
      remedy: expect.stringContaining(authorityFile(place, 'flower', 3)),
    });
    await rm(authorityFile(place, 'flower', 3));
    await check(3, shown);
  });

  it('of another VM is trusted anew, and that is said; the one before stays known', async () => {
    await check(3, right);
    expect(await check(7, wrong)).toEqual([
      { type: 'superlink_replaced', service: 'flower', vmId: 7, sha256: wrong.sha256 },
    ]);
    expect(await check(7, wrong)).toEqual([]);
    await expect(check(3, wrong)).rejects.toMatchObject({ code: 'operator-untrusted' });
  });

  it('that two commands see first at once is kept once: the other one is refused', async () => {
    const looks = Array.from({ length: 20 }, (_, index) => check(3, index % 2 === 0 ? right : wrong));
    const outcomes = await Promise.allSettled(looks);
    const accepted = outcomes.map(({ status }) => status === 'fulfilled');
    const first = accepted[0] === true;
    expect(accepted).toEqual(looks.map((_, index) => (index % 2 === 0) === first));
    expect(await readdir(join(place.home, 'services', 'test'))).toEqual(['flower.3.ca-sha256']);
  });

  it('is refused where what is kept is damaged', async () => {
    await check(3, right);
    await writeFile(authorityFile(place, 'flower', 3), '');
    await expect(check(3, right)).rejects.toMatchObject({ code: 'operator-untrusted' });
  });

  it('is forgotten with its service, and no other is', async () => {
    await check(3, right);
    await check(4, right, 'flower.5');
    await removeRecord(place, 'flower');
    expect(await check(3, wrong)).toEqual([]);
    await expect(check(4, wrong, 'flower.5')).rejects.toMatchObject({ code: 'operator-untrusted' });
  });

  it('is forgotten with all of a cloud that is no more', async () => {
    await check(3, right);
    await removeRecords(place);
    expect(await check(3, wrong)).toEqual([]);
  });

  it('is not asked for where TLS was off from the start', async () => {
    expect(await check(3, null)).toEqual([]);
    expect(await check(3, right)).toEqual([]);
  });
});
