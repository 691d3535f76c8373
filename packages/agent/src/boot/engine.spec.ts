import { type EventData, FakeClock, type OneFlowerError } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { failure } from '../failure.ts';
import { keptLog } from '../testing/log.ts';
import { runSteps } from './engine.ts';
import type { BootStep } from './step.ts';
import { UnderWay } from './under-way.ts';

interface Machine {
  done: string[];
}

type Step = BootStep<Machine>;

function step(name: string, changes: Partial<Step> = {}): Step {
  return {
    name,
    does: 'Does something.',
    deadlineSeconds: 10,
    retry: 'never',
    failure: 'fatal',
    code: 'flower_start_failed',
    run: async machine => void machine.done.push(name),
    ...changes,
  };
}

function world() {
  const clock = new FakeClock();
  const machine: Machine = { done: [] };
  const ended: EventData<'boot_step'>[] = [];
  const overdue: OneFlowerError[] = [];
  const stop = new AbortController();
  const { log, lines } = keptLog(clock);
  const underWay = new UnderWay(clock);
  const run = (steps: Step[], signal = stop.signal) =>
    runSteps(
      steps,
      machine,
      { clock, log, underWay, stepEnded: event => ended.push(event), overdue: error => overdue.push(error) },
      signal,
    );
  return { clock, machine, ended, overdue, stop, lines, run };
}

const patient = { firstPauseMs: 1000, longestPauseMs: 8000 };

describe('runSteps', () => {
  it('runs the steps in order and says how each ended', async () => {
    const { machine, ended, run } = world();
    await expect(run([step('a'), step('b')])).resolves.toEqual({ ready: true });
    expect(machine.done).toEqual(['a', 'b']);
    expect(ended).toEqual([
      { step: 'a', outcome: 'done', seconds: 0, attempts: 1 },
      { step: 'b', outcome: 'done', seconds: 0, attempts: 1 },
    ]);
  });

  it('ends at a fatal failure with its code and sentences', async () => {
    const { machine, ended, lines, run } = world();
    const failing = step('b', { run: async () => Promise.reject(failure('port_taken', 'Port 9092 is taken.')) });
    const outcome = await run([step('a'), failing, step('c')]);
    expect(outcome).toMatchObject({ ready: false, step: 'b', error: { code: 'port_taken' } });
    expect(machine.done).toEqual(['a']);
    expect(ended.at(-1)).toMatchObject({ step: 'b', outcome: 'failed' });
    expect(lines.filter(line => line.includes('Port 9092 is taken. Another process listens'))).toHaveLength(1);
  });

  it('goes on after a degraded one', async () => {
    const { machine, ended, run } = world();
    const failing = step('a', { failure: 'degraded', run: async () => Promise.reject(new Error('no')) });
    await expect(run([failing, step('b')])).resolves.toEqual({ ready: true });
    expect(machine.done).toEqual(['b']);
    expect(ended[0]).toMatchObject({ outcome: 'degraded' });
  });

  it('ends past its deadline with a failure of a step that waits which only another boot may mend', async () => {
    const { clock, machine, overdue, run } = world();
    let code: 'superlink_unreachable' | 'port_taken' = 'port_taken';
    const waiting = step('a', {
      ...{ retry: patient, failure: 'waits', needsAnotherBoot: (_, error) => error.code === 'superlink_unreachable' },
      run: async () => Promise.reject(failure(code, 'No.')),
    });
    const outcome = run([waiting, step('b')]);
    await clock.advance(30_000);
    expect(overdue).toHaveLength(1);
    code = 'superlink_unreachable';
    await clock.advance(8000);
    await expect(outcome).resolves.toMatchObject({ ready: false, step: 'a', error: { code } });
    expect(machine.done).toEqual([]);
  });

  it('gives an error of the system the code of the step', async () => {
    const { run } = world();
    const full = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
    const outcome = await run([step('a', { code: 'state_write_failed', run: async () => Promise.reject(full) })]);
    expect(outcome).toMatchObject({ error: { code: 'state_write_failed', fault: 'environment' } });
  });

  it('tries again with longer and longer pauses until the deadline', async () => {
    const { clock, run, lines } = world();
    const times: number[] = [];
    const began = clock.now();
    const failing = step('a', {
      retry: patient,
      deadlineSeconds: 20,
      run: async () => {
        times.push((clock.now() - began) / 1000);
        throw failure('port_taken', 'Port 9092 is taken.');
      },
    });
    const outcome = run([failing]);
    await clock.advance(60_000);
    await expect(outcome).resolves.toMatchObject({ ready: false });
    expect(times).toEqual([0, 1, 3, 7, 15]);
    expect(lines.filter(line => line.includes('Trying again'))).toHaveLength(1);
  });

  it('does not try again what a person has to correct', async () => {
    const { run, ended } = world();
    const failing = step('a', {
      retry: patient,
      run: async () => Promise.reject(failure('trust_missing', 'No CA.', { fault: 'user' })),
    });
    await expect(run([failing])).resolves.toMatchObject({ ready: false });
    expect(ended[0]).toMatchObject({ attempts: 1 });
  });

  it('waits for ever where the step waits, and reports it once it is late', async () => {
    const { clock, run, overdue, machine } = world();
    let here = false;
    const waiting = step('discover', {
      retry: patient,
      failure: 'waits',
      deadlineSeconds: 300,
      run: async () => {
        if (!here) throw failure('discovery_failed', 'Not there yet.');
      },
    });
    const outcome = run([waiting, step('next')]);
    await clock.advance(290_000);
    expect(overdue).toEqual([]);
    await clock.advance(1_500_000);
    expect(overdue).toHaveLength(1);
    expect(overdue[0]?.code).toBe('discovery_failed');
    here = true;
    await clock.advance(10_000);
    await expect(outcome).resolves.toEqual({ ready: true });
    expect(machine.done).toEqual(['next']);
  });

  it('reports at once what another machine refuses, and goes on trying', async () => {
    const { clock, run, overdue } = world();
    let refused = true;
    const enrolling = step('enrol', {
      retry: patient,
      failure: 'waits',
      deadlineSeconds: 120,
      run: async () => {
        if (refused) throw failure('enrolment_refused', 'Wrong join token.');
      },
    });
    const outcome = run([enrolling]);
    await clock.advance(3000);
    expect(overdue).toMatchObject([{ code: 'enrolment_refused' }]);
    refused = false;
    await clock.advance(10_000);
    await expect(outcome).resolves.toEqual({ ready: true });
  });

  it('cuts off an attempt that hangs', async () => {
    const { clock, run } = world();
    const hanging = step('a', { deadlineSeconds: 5, run: () => new Promise(() => undefined) });
    const outcome = run([hanging]);
    await clock.advance(5000);
    await expect(outcome).resolves.toMatchObject({
      error: { code: 'flower_start_failed', message: 'The boot step a failed: it was not done after 5 s.' },
    });
  });

  it('ends at once when it is aborted', async () => {
    const { run, stop } = world();
    const outcome = run([step('a', { run: () => new Promise(() => undefined) })]);
    stop.abort(new Error('stop'));
    await expect(outcome).rejects.toThrow('stop');
  });

  describe('with a step that heeds no signal', () => {
    const endless = step('a', { run: () => new Promise(() => undefined) });

    it('begins no other boot before the step has ended', async () => {
      const { run, stop, machine, clock } = world();
      const going = Promise.withResolvers<void>();
      const former = run([step('a', { run: () => going.promise })]);
      stop.abort(new Error('context changed'));
      await expect(former).rejects.toThrow('context changed');
      const next = run([step('b')], new AbortController().signal);
      await clock.advance(30_000);
      expect(machine.done).toEqual([]);
      going.resolve();
      await expect(next).resolves.toEqual({ ready: true });
      expect(clock.waiting).toBe(0);
    });

    it('tries the step again only when the attempt that was late has ended, also in a failure', async () => {
      const { run, clock } = world();
      const attempts: PromiseWithResolvers<void>[] = [];
      const waiting = step('a', {
        ...{ failure: 'waits', retry: patient },
        run: () => {
          const attempt = Promise.withResolvers<void>();
          attempts.push(attempt);
          return attempt.promise;
        },
      });
      const outcome = run([waiting]);
      await clock.advance(30_000);
      expect(attempts).toHaveLength(1);
      attempts[0]?.reject(new Error('too late'));
      await clock.advance(1000);
      attempts[1]?.resolve();
      await expect(outcome).resolves.toEqual({ ready: true });
    });

    it('gives up, for the program to end, when the step has not ended after a minute, however often it is asked', async () => {
      const { run, stop, clock, machine } = world();
      void run([endless]).catch(() => undefined);
      stop.abort(new Error('context changed'));
      await clock.advance(40_000);
      const second = new AbortController();
      const impatient = run([step('b')], second.signal);
      second.abort(new Error('changed again'));
      await expect(impatient).rejects.toThrow('changed again');
      const last = run([step('b')], new AbortController().signal);
      const said = expect(last).rejects.toMatchObject({
        code: 'boot-step-hangs',
        message: expect.stringMatching(/step a .* after 60 s/),
      });
      await clock.advance(20_000);
      await said;
      expect(machine.done).toEqual([]);
    });
  });
});
