import { describe, expect, it } from 'vitest';
import { defaultFlowerVersion, knownReleases, profileOf } from './flower-profiles.ts';

describe('profileOf', () => {
  it.each([
    ['1.39.0', 'grpc'],
    ['1.40.0', 'http'],
    [defaultFlowerVersion, 'http'],
  ])('knows %s', (version, fleet) => {
    expect(profileOf(version)?.fleet).toBe(fleet);
  });

  it.each(['1.38.9', '1.43.0', '2.0.0', '1.41', 'latest', ''])('does not know %j', version => {
    expect(profileOf(version)).toBeUndefined();
  });

  it.each([
    ['1.40.0', false],
    ['1.41.0', true],
    ['1.42.3', true],
  ])('says of %s whether its waits are known', (version, warm) => {
    expect(profileOf(version)?.warm).toBe(warm);
  });

  it('says the range in words', () => {
    expect(knownReleases()).toBe('1.39 to 1.42');
  });
});
