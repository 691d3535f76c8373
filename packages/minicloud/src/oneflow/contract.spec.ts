import { afterAll, describe, expect, it } from 'vitest';
import { recordingsOf } from '../testing/recordings.ts';
import { gaps } from './coverage.ts';
import { createDummyBench } from './testing/bench.ts';
import { recordedOutcome, replay } from './testing/replay.ts';

const cli = recordingsOf('cli').filter(recording => recording.stem.slice(4).startsWith('oneflow'));
const rest = recordingsOf('oneflow');
/** The command line tools were recorded in between: ids and services show it. */
const between = rest.findIndex(recording => recording.stem.startsWith('239-'));
const order = [...rest.slice(0, between), ...cli, ...rest.slice(between)];

/** The sentence for the caller, and why the server broke, without what follows its first line. */
function firstLine(body: string): string[] {
  const { message, reason } = JSON.parse(body) as { message: string; reason: string };
  return [message, reason.split('\n')[0] ?? ''];
}

describe('recorded exchanges with OneFlow', { timeout: 60_000 }, async () => {
  const bench = await createDummyBench({ delayMs: 2000 });
  afterAll(() => bench.close());

  it.each(order.map(recording => [recording.stem, recording] as const))('%s', async (stem, recording) => {
    const outcome = await replay(bench, recording);
    const gap = gaps.find(candidate => candidate.area === recording.area && candidate.stem === stem);
    const expected = recordedOutcome(recording);
    expect(outcome.status).toBe(expected.status);
    if (!gap) expect(outcome.body).toBe(expected.body);
    if (gap?.compared === 'first line') expect(firstLine(outcome.body)).toEqual(firstLine(expected.body));
    expect(bench.faults).toEqual([]);
  });
});

describe('the table of gaps', () => {
  it('names recordings that there are, once each, with a reason', () => {
    const stems = new Set(order.map(recording => `${recording.area}/${recording.stem}`));
    const named = gaps.map(gap => `${gap.area}/${gap.stem}`);
    expect(new Set(named).size).toBe(named.length);
    expect(named.filter(name => !stems.has(name))).toEqual([]);
    expect(gaps.every(gap => gap.reason.endsWith('.'))).toBe(true);
  });

  it('leaves no recording of this area out of the replay', () => {
    const toOneFlow = recordingsOf('cli').filter(recording => recording.request.headers.host?.endsWith(':12474'));
    const replayed = new Set(order.map(recording => recording.request.raw));
    expect(toOneFlow.map(recording => recording.stem)).toEqual(cli.map(recording => recording.stem));
    expect(replayed.size).toBe(rest.length + toOneFlow.length);
  });

  it('leaves out no more than a twentieth', () => {
    expect(gaps.length).toBeLessThan(order.length / 20);
  });
});
