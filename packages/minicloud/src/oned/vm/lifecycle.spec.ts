import { describe, expect, it } from 'vitest';
import { openTestCloud, session } from '../testing/cloud.ts';

describe('the life cycle of a VM', () => {
  it('goes PENDING, PROLOG, BOOT, RUNNING and tells every step once it is committed', async () => {
    const cloud = await openTestCloud();
    const id = cloud.vm();
    expect(cloud.stateOf(id)).toBe('1/0');
    await cloud.settle();
    expect(cloud.events.map(event => `${event.state}/${event.lcmState}`)).toEqual(['1/0', '3/1', '3/2', '3/3']);
    expect(cloud.driver.running()).toEqual([id]);
  });

  it.each([
    ['poweroff', '8/0', ['3/18', '8/0'], ['3/20', '3/3']],
    ['suspend', '5/0', ['3/6', '5/0'], ['3/21', '3/3']],
    ['stop', '4/0', ['3/5', '3/10', '4/0'], ['1/0', '3/9', '3/22', '3/3']],
    ['undeploy', '9/0', ['3/29', '3/30', '9/0'], ['1/0', '3/31', '3/32', '3/3']],
  ])('%s leads to %s and resume back', async (action, state, there, back) => {
    const cloud = await openTestCloud();
    const id = cloud.vm();
    await cloud.settle();
    const steps = (): string[] => cloud.events.splice(0).map(event => `${event.state}/${event.lcmState}`);
    steps();
    cloud.call('one.vm.action', action, id);
    await cloud.settle();
    expect(cloud.stateOf(id)).toBe(state);
    expect(cloud.driver.running()).toEqual([]);
    expect(steps()).toEqual(there);
    cloud.call('one.vm.action', 'resume', id);
    await cloud.settle();
    expect(steps()).toEqual(back);
    expect(cloud.driver.running()).toEqual([id]);
  });

  it('ends a VM by terminate, and its address is free again', async () => {
    const cloud = await openTestCloud();
    const ids = [cloud.vm(), cloud.vm(), cloud.vm()];
    expect(cloud.refusal('one.template.instantiate', 0, '', false, '', false)).toContain('Cannot get IP/MAC lease');
    await cloud.settle();
    cloud.events.length = 0;
    cloud.call('one.vm.action', 'terminate', ids[1] ?? -1);
    await cloud.settle();
    expect(cloud.events.map(event => `${event.state}/${event.lcmState}`)).toEqual(['3/12', '3/11', '6/0']);
    expect(cloud.textOf(cloud.vm(), 'IP')).toBe('10.0.0.6');
  });

  it('shows a start that failed, and retry starts again', async () => {
    const cloud = await openTestCloud();
    cloud.driver.failNext('deploy', 'no such kernel ]]> \u{1F642}\u001b');
    const id = cloud.vm();
    await cloud.settle();
    expect(cloud.stateOf(id)).toBe('3/36');
    expect(cloud.textOf(id, 'ERROR')).toBe('Thu Jan  1 00:00:00 2026: DEPLOY: no such kernel ]] > ??');
    cloud.call('one.vm.recover', id, 2);
    await cloud.settle();
    expect(cloud.stateOf(id)).toBe('3/3');
    expect(cloud.textOf(id, 'ERROR')).toBeUndefined();
  });

  it('lets a guest run on that would not end', async () => {
    const cloud = await openTestCloud();
    const id = cloud.vm();
    await cloud.settle();
    cloud.driver.failNext('shutdown', 'it does not listen');
    cloud.call('one.vm.action', 'terminate', id);
    await cloud.settle();
    expect(cloud.stateOf(id)).toBe('3/3');
    expect(cloud.textOf(id, 'ERROR')).toContain('SHUTDOWN: it does not listen');
    cloud.call('one.vm.action', 'terminate-hard', id);
    await cloud.settle();
    expect(cloud.stateOf(id)).toBe('6/0');
  });

  it('drops the end of an action that was overtaken', async () => {
    const cloud = await openTestCloud();
    const release = cloud.driver.hold('deploy');
    const id = cloud.vm();
    await cloud.settle();
    expect(cloud.stateOf(id)).toBe('3/2');
    cloud.call('one.vm.action', 'terminate-hard', id);
    await cloud.settle();
    release();
    await cloud.settle();
    expect(cloud.stateOf(id)).toBe('6/0');
  });

  it.each([
    ['delete', 3, '6/0'],
    ['delete-recreate', 4, '3/3'],
    ['delete-db', 5, '6/0'],
    ['failure', 0, '3/3'],
  ])('recover %s of a running VM', async (_name, operation, state) => {
    const cloud = await openTestCloud();
    const id = cloud.vm();
    await cloud.settle();
    cloud.call('one.vm.recover', id, operation);
    await cloud.settle();
    expect(cloud.stateOf(id)).toBe(state);
  });

  it('keeps a VM waiting that fits nowhere, says why, and places it once there is room', async () => {
    const cloud = await openTestCloud({ capacity: { cpu: 100, memory: 1_048_576, disk: 1 }, retryMs: 200 });
    const [first, second] = [cloud.vm(), cloud.vm()];
    await cloud.settle();
    expect(cloud.stateOf(second)).toBe('1/0');
    expect(cloud.textOf(second, 'SCHED_MESSAGE')).toBe('Thu Jan  1 00:00:00 2026: [HOST] Not enough CPU on hosts: 0');
    cloud.call('one.vm.action', 'terminate', first);
    await cloud.clock.advance(500);
    expect(cloud.stateOf(second)).toBe('3/3');
    expect(cloud.textOf(second, 'SCHED_MESSAGE')).toBeUndefined();
  });

  it('notices a guest that went away', async () => {
    const cloud = await openTestCloud({ monitorMs: 1000 });
    const id = cloud.vm();
    await cloud.settle();
    cloud.driver.kill(id);
    await cloud.clock.advance(1000);
    expect(cloud.stateOf(id)).toBe('8/0');
    cloud.call('one.vm.action', 'resume', id);
    await cloud.settle();
    expect(cloud.stateOf(id)).toBe('3/3');
  });

  it('does not take a guest for gone that is being rebooted', async () => {
    const cloud = await openTestCloud({ monitorMs: 1000 });
    const id = cloud.vm();
    await cloud.settle();
    const release = cloud.driver.hold('reboot');
    cloud.call('one.vm.action', 'reboot', id);
    cloud.driver.kill(id);
    await cloud.clock.advance(3000);
    expect(cloud.stateOf(id)).toBe('3/3');
    release();
    await cloud.clock.advance(1000);
    expect(cloud.stateOf(id)).toBe('8/0');
  });

  it('takes writes to a VM that is DONE, which end it no second time', async () => {
    const cloud = await openTestCloud();
    const id = cloud.vm();
    cloud.call('one.vm.action', 'terminate', id);
    cloud.events.length = 0;
    cloud.call('one.vm.update', id, 'LAST="word"', 1);
    expect(cloud.textOf(id, 'LAST')).toBe('word');
    expect(cloud.events.map(event => event.kind)).toEqual(['update']);
    expect(String(cloud.call('one.vmpool.info', -2, -1, -1, -1))).toBe('<VM_POOL></VM_POOL>');
    expect(String(cloud.call('one.vmpool.info', -2, -1, -1, 6))).toContain(`<ID>${id}</ID>`);
  });

  it('shows a guest in BOOT_FAILURE that cannot be given its token', async () => {
    const cloud = await openTestCloud({
      gateToken: () => {
        throw new RangeError('Invalid key length');
      },
    });
    const id = cloud.vm();
    await cloud.settle();
    expect(cloud.stateOf(id)).toBe('3/36');
    expect(cloud.textOf(id, 'ERROR')).toContain('Invalid key length');
  });

  it('tells an update with its very text', async () => {
    const cloud = await openTestCloud();
    const id = cloud.vm();
    cloud.events.length = 0;
    cloud.call('one.vm.update', id, 'NOT_READY=YES', 1);
    expect(cloud.events).toEqual([{ kind: 'update', vmId: id, state: 1, lcmState: 0, text: 'NOT_READY=YES' }]);
    cloud.refusal('one.vm.update', id, 'A', 1);
    expect(cloud.events).toHaveLength(1);
  });

  it('lets a listener act on what it hears, events staying in order', async () => {
    const cloud = await openTestCloud();
    const id = cloud.vm();
    cloud.oned.onVmEvent(event => {
      if (event.lcmState === 3 && event.kind === 'state')
        cloud.oned.call(session, 'one.vm.update', id, 'READY="YES"', 1);
    });
    await cloud.settle();
    expect(cloud.events.slice(-2).map(event => `${event.kind} ${event.lcmState}`)).toEqual(['state 3', 'update 3']);
  });

  it('gives a running guest a new CONTEXT at once', async () => {
    const cloud = await openTestCloud();
    const id = cloud.vm('WORD="it\'s"');
    await cloud.settle();
    expect(cloud.driver.contextOf(id)?.['context.sh']).toContain("WORD='it'\\''s'\n");
    cloud.call('one.vm.updateconf', id, 'CONTEXT=[MORE="1"]', 1);
    await cloud.settle();
    expect(cloud.driver.contextOf(id)?.['context.sh']).toContain("MORE='1'\n");
    expect(cloud.stateOf(id)).toBe('3/3');
  });
});
