import { FakeClock } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { failure } from './failure.ts';
import { formerSessionEnded } from './supernode-session.ts';
import { keptLog } from './testing/log.ts';

function world({ wasCutOff = false, restarts = 0, isUp = true }) {
  const clock = new FakeClock();
  const { log, lines } = keptLog(clock);
  const superLink = { online: true, training: false, isUp, asked: 0 };
  const mayStart = formerSessionEnded({
    ...{ clock, log },
    wasCutOff: () => wasCutOff,
    restarts: () => restarts,
    async ask() {
      superLink.asked++;
      if (!superLink.isUp) throw failure('superlink_unreachable', 'Nothing listens there.');
      return superLink;
    },
  });
  const stop = new AbortController();
  const begun = clock.now();
  let outcome: string | undefined;
  void mayStart(stop.signal).then(
    isOver => {
      outcome = `started after ${(clock.now() - begun) / 1000} s${isOver ? '' : ', the session before perhaps not over'}`;
    },
    (error: Error) => {
      outcome = error.message;
    },
  );
  return { clock, lines, superLink, stop, outcome: () => outcome };
}

describe('formerSessionEnded', () => {
  it('lets the first Flower of a node start without asking', async () => {
    const { clock, superLink, lines, outcome } = world({});
    await clock.advance(0);
    expect(outcome()).toBe('started after 0 s');
    expect(superLink.asked).toBe(0);
    expect(lines).toEqual([]);
  });

  it.each([{ restarts: 1 }, { wasCutOff: true }])(
    'waits with %o until the SuperLink lists the node offline, and says so once',
    async life => {
      const { clock, superLink, lines, outcome } = world(life);
      await clock.advance(57_000);
      expect(outcome()).toBeUndefined();
      superLink.online = false;
      await clock.advance(2000);
      expect(outcome()).toBe('started after 58 s');
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(/refuses its key until that has timed out.*after 90 s at the latest/);
    },
  );

  it('gives the ServerApp of a run that goes on the time to see that the node was lost', async () => {
    const { clock, superLink, outcome } = world({ restarts: 1 });
    superLink.training = true;
    await clock.advance(9000);
    superLink.online = false;
    await clock.advance(5000);
    expect(outcome()).toBeUndefined();
    await clock.advance(1000);
    expect(outcome()).toBe('started after 15 s');
  });

  it('starts at once when the session was ended in order', async () => {
    const { clock, superLink, lines, outcome } = world({ wasCutOff: true });
    superLink.online = false;
    await clock.advance(0);
    expect(outcome()).toBe('started after 0 s');
    expect(lines).toEqual([]);
  });

  it('starts after 90 s even so', async () => {
    const { clock, lines, outcome } = world({ restarts: 1 });
    await clock.advance(89_000);
    expect(outcome()).toBeUndefined();
    await clock.advance(1000);
    expect(outcome()).toBe('started after 90 s, the session before perhaps not over');
    expect(lines.at(-1)).toContain('has not listed this node offline');
  });

  it('waits on with what it knows when a question has no answer', async () => {
    const { clock, superLink, outcome } = world({ restarts: 3 });
    await clock.advance(10_000);
    superLink.isUp = false;
    await clock.advance(20_000);
    Object.assign(superLink, { isUp: true, online: false });
    expect(outcome()).toBeUndefined();
    await clock.advance(2000);
    expect(outcome()).toBe('started after 32 s');
  });

  it('starts after 90 s when the SuperLink does not answer any more', async () => {
    const { clock, superLink, outcome } = world({ restarts: 1 });
    await clock.advance(0);
    superLink.isUp = false;
    await clock.advance(90_000);
    expect(outcome()).toBe('started after 90 s, the session before perhaps not over');
  });

  it('starts at once when the SuperLink cannot be asked', async () => {
    const { clock, lines, outcome } = world({ restarts: 3, isUp: false });
    await clock.advance(0);
    expect(outcome()).toBe('started after 0 s, the session before perhaps not over');
    expect(lines.join()).toMatch(/Nothing listens there.*started without knowing/);
  });

  it('says nothing of a start when it is not to start any more', async () => {
    const { clock, lines, stop, outcome } = world({ restarts: 1, isUp: false });
    stop.abort(new Error('not wanted'));
    await clock.advance(0);
    expect(outcome()).toBe('not wanted');
    expect(lines.join()).not.toContain('started');
  });

  it.each([true, false])('ends the wait at once when nobody wants it any more (online: %s)', async online => {
    const { clock, superLink, stop, outcome } = world({ restarts: 1 });
    Object.assign(superLink, { online, training: true });
    await clock.advance(1000);
    stop.abort(new Error('not wanted'));
    await clock.advance(0);
    expect(outcome()).toBe('not wanted');
    expect(clock.waiting).toBe(0);
  });
});
