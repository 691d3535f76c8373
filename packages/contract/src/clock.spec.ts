import { describe, expect, it } from 'vitest';
import { FakeClock, sleep } from './clock.ts';

describe('FakeClock', () => {
  it('fires what falls due, in order, and what that starts in turn', async () => {
    const clock = new FakeClock(0);
    const fired: string[] = [];
    clock.after(20, () => fired.push(`b at ${clock.now()}`));
    clock.after(10, () => {
      fired.push(`a at ${clock.now()}`);
      clock.after(5, () => fired.push(`c at ${clock.now()}`));
    });
    await clock.advance(20);
    expect(fired).toEqual(['a at 10', 'c at 15', 'b at 20']);
  });

  it('wakes a sleeper, and not one that was aborted', async () => {
    const clock = new FakeClock(0);
    const abort = new AbortController();
    const slept = sleep(clock, 1000);
    const aborted = sleep(clock, 1000, abort.signal);
    abort.abort(new Error('stop'));
    await expect(aborted).rejects.toThrow('stop');
    await clock.advance(1000);
    await slept;
    expect(clock.waiting).toBe(0);
  });
});
