import { describe, expect, it } from 'vitest';
import { parseNodeConfig } from './node-config.ts';
import { validate } from './validate.ts';

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

  it.each(['a', 'a=', '=1', 'a=b', 'a="x', 'a=1b=2', 'a=1,b=2', 'a=$(id)', 'a=1 a=1', 'a=007'])('refuses %j', text => {
    expect(parseNodeConfig(text)).toBeUndefined();
  });
});

describe('the partition of FL_NODE_CONFIG', () => {
  const largest = 'give partition-id as a whole number from 0 to 9999';
  const above = 'give num-partitions as a whole number above partition-id';
  it.each([
    ['partition-id=-1', largest],
    ['partition-id=0.5', largest],
    ['partition-id=1.0', largest],
    ['partition-id=20000', largest],
    ['partition-id="a"', largest],
    ['partition-id=true', largest],
    ['num-partitions=2', 'give num-partitions only together with partition-id'],
    ['partition-id=2 num-partitions=2', above],
    ['partition-id=2 num-partitions="9"', above],
    ['partition-id=0 num-partitions=1.5', above],
  ])('is refused as %s', (value, rule) => {
    const problem = { variable: 'FL_NODE_CONFIG', value, rule };
    expect(validate({ FL_NODE_CONFIG: value }).problems).toEqual([problem]);
    expect(validate({ FL_NODE_CONFIG: value }, 'supernode').problems).toEqual([problem]);
    expect(validate({ FL_NODE_CONFIG: value }, 'superlink').problems).toEqual([]);
  });

  it.each(['partition-id=0', 'partition-id=9999', 'partition-id=1 num-partitions=2', 'label="partition-id=-1"'])(
    'is taken as %s',
    value => expect(validate({ FL_NODE_CONFIG: value }).problems).toEqual([]),
  );
});
