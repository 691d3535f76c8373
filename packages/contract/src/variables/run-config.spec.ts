import { describe, expect, it } from 'vitest';
import { runConfigKeys, runConfigOf } from './run-config.ts';
import { validate } from './validate.ts';

describe('the run configuration of the variables', () => {
  it('carries each value with the TOML type of its kind', () => {
    const given = { FL_NUM_ROUNDS: '7', FL_STRATEGY: 'FedProx', FL_PROXIMAL_MU: '1', FL_STOP_ON_NAN: 'NO' };
    expect(runConfigOf(validate(given).settings)).toEqual(
      expect.arrayContaining(['num-server-rounds=7', 'strategy="FedProx"', 'proximal-mu=1.0', 'stop-on-nan=false']),
    );
  });

  it('leaves out what is empty', () => {
    const keys = (given: Record<string, string>) =>
      runConfigOf(validate(given).settings).map(pair => pair.split('=')[0]);
    expect(keys({})).not.toContain('client-lr');
    expect(keys({ FL_CLIENT_LR: '1e-3' })).toContain('client-lr');
  });

  it('has each key once', () => {
    const keys = runConfigKeys().map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
  });
});
