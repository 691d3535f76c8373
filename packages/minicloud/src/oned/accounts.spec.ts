import { describe, expect, it } from 'vitest';
import { openTestCloud, session } from './testing/cloud.ts';

describe('accounts', () => {
  it('ends a login token at its time', async () => {
    const cloud = await openTestCloud();
    cloud.call('one.user.allocate', 'anna', 'pw', 'core');
    const token = String(cloud.call('one.user.login', 'anna', '', 60, -1));
    const works = (): boolean => cloud.oned.call(`anna:${token}`, 'one.user.info', -1).ok;
    expect(works()).toBe(true);
    await cloud.clock.advance(59_000);
    expect(works()).toBe(true);
    await cloud.clock.advance(1000);
    expect(works()).toBe(false);
  });

  it('lets nobody in by a hash, by an empty password or as serveradmin', async () => {
    const cloud = await openTestCloud();
    const hash = /<PASSWORD><!\[CDATA\[(.*?)\]\]>/.exec(String(cloud.call('one.user.info', 0)))?.[1];
    for (const guess of [`oneadmin:${hash}`, 'oneadmin:', 'serveradmin:', ':', '', 'oneadmin']) {
      expect(cloud.oned.call(guess, 'one.system.version')).toMatchObject({ ok: false, errno: 256 });
    }
  });

  it('ends tokens with a new password, and users who are switched off', async () => {
    const cloud = await openTestCloud();
    cloud.call('one.user.allocate', 'anna', 'pw', 'core');
    const token = String(cloud.call('one.user.login', 'anna', '', -1, -1));
    expect(cloud.oned.call('anna:pw', 'one.user.passwd', 2, 'new').ok).toBe(true);
    expect(cloud.oned.call(`anna:${token}`, 'one.user.info', -1).ok).toBe(false);
    expect(cloud.oned.call('anna:new', 'one.user.info', -1).ok).toBe(true);
    cloud.call('one.user.enable', 2, false);
    expect(cloud.oned.call('anna:new', 'one.user.info', -1).ok).toBe(false);
  });

  it('shares by group what permissions share', async () => {
    const cloud = await openTestCloud();
    cloud.call('one.user.allocate', 'anna', 'pw', 'core');
    cloud.call('one.user.allocate', 'bert', 'pw', 'core');
    expect(cloud.oned.call('anna:pw', 'one.document.allocate', 'A="1"', 7)).toEqual({ ok: true, value: 0 });
    const reads = (who: string): boolean => cloud.oned.call(`${who}:pw`, 'one.document.info', 0).ok;
    expect([reads('anna'), reads('bert')]).toEqual([true, false]);
    cloud.call('one.document.chmod', 0, -1, -1, -1, 1, -1, -1, -1, -1, -1);
    expect(reads('bert')).toBe(true);
    cloud.call('one.user.chgrp', 3, cloud.call('one.group.allocate', 'others'));
    expect(reads('bert')).toBe(false);
  });

  it('acts for a VM owner by a session that no request shows', async () => {
    const cloud = await openTestCloud();
    const id = cloud.vm();
    const secret = cloud.oned.gateSecret(id);
    expect(cloud.oned.call(secret?.ownerSession ?? '', 'one.vm.info', id).ok).toBe(true);
    const shown = String(cloud.call('one.user.info', -1)) + String(cloud.call('one.userpool.info'));
    expect(shown).not.toContain(secret?.ownerSession.split(':')[1]);
    expect(cloud.oned.sessionOf(99)).toBeUndefined();
    expect(cloud.oned.gateSecret(99)).toBeUndefined();
  });

  it.each(['\u0000', '\u001b[0m', '\ud800', '\u{1F642}'])('takes no %j, however the call comes', async character => {
    const cloud = await openTestCloud();
    const answer = cloud.oned.call(session, 'one.document.allocate', `A="${character}"`, 7);
    expect(answer).toMatchObject({ ok: false, errno: -503 });
  });

  it('checks arguments as the XML-RPC library does', async () => {
    const cloud = await openTestCloud();
    const call = (...args: (string | number | boolean)[]) => cloud.oned.call(session, 'one.vm.action', ...args);
    expect(call()).toMatchObject({ errno: -501, message: 'Not enough parameters' });
    expect(call(1, 1)).toMatchObject({ errno: -501, message: 'Parameter that is supposed to be string is not' });
    expect(call('reboot', '1')).toMatchObject({ errno: -501 });
    expect(call('reboot', 7, 'more', true)).toMatchObject({ errno: 1024, objectId: 7 });
  });
});
