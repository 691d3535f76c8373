import { FakeClock } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { createDummyDriver } from '../drivers/dummy.ts';
import { createOned, type EmbeddedOned } from './index.ts';

const admin = 'oneadmin:secret';

function start(): EmbeddedOned {
  return createOned({
    file: ':memory:',
    clock: new FakeClock(),
    driver: createDummyDriver(),
    gateToken: () => 'token',
    admin: { name: 'oneadmin', password: 'secret' },
  });
}

describe('documents', () => {
  it('gives another owner nothing, and says who asked for what', () => {
    const oned = start();
    oned.call(admin, 'one.user.allocate', 'tester', 'pw', 'core');
    expect(oned.call(admin, 'one.document.allocate', '<TEMPLATE><NAME>a</NAME></TEMPLATE>', 100)).toEqual({
      ok: true,
      value: 0,
    });
    expect(oned.call('tester:pw', 'one.document.info', 0)).toEqual({
      ok: false,
      errno: 512,
      objectId: -1,
      message: '[one.document.info] User [2] : Not authorized to perform USE DOCUMENT [0].',
    });
    expect(oned.call('tester:pw', 'one.document.info', 7)).toEqual({
      ok: false,
      errno: 1024,
      objectId: 7,
      message: '[one.document.info] Error getting document [7].',
    });
    expect(oned.call('tester:pw', 'one.documentpool.info', -2, -1, -1, 100)).toEqual({
      ok: true,
      value: '<DOCUMENT_POOL></DOCUMENT_POOL>',
    });
  });
});
