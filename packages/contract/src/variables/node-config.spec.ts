import { describe, expect, it } from 'vitest';
import { parseNodeConfig } from './node-config.ts';

describe('parseNodeConfig', () => {
  it('keeps the types of TOML', () => {
    expect(parseNodeConfig('name="a b" partition-id=0 rate=0.5 fast=true x=\'y\'')).toEqual({
      name: 'a b',
      'partition-id': 0,
      rate: 0.5,
      fast: true,
      x: 'y',
    });
  });

  it.each(['', '   '])('reads %j as no values', text => {
    expect(parseNodeConfig(text)).toEqual({});
  });

  it.each(['a', 'a=', '=1', 'a=b', 'a="x', 'a=1b=2', 'a=1,b=2', 'a=$(id)', 'a=1 a=1'])('refuses %j', text => {
    expect(parseNodeConfig(text)).toBeUndefined();
  });
});
