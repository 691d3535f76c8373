import { FakeClock } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { createReporter } from './reporter.ts';

function stage(terminal: boolean, environment: Record<string, string> = {}) {
  const clock = new FakeClock();
  const written: string[] = [];
  const output = { write: (text: string) => void written.push(text), terminal, columns: 40 };
  return { clock, reporter: createReporter(output, environment, clock), all: () => written.join('') };
}

describe('progress', () => {
  it('elsewhere than on a terminal is plain lines, and nothing that changes', () => {
    const { reporter, all } = stage(false);
    reporter.status('working');
    reporter.line('one\u001b[31m\u0007');
    reporter.warning('two');
    reporter.end();
    expect(all()).toBe('one?\nWarning: two\n');
  });

  it('on a terminal keeps a line below that says what is going on and for how long', async () => {
    const { reporter, clock, all } = stage(true, { NO_COLOR: '1' });
    reporter.status('Round 1');
    await clock.advance(2000);
    reporter.line('done');
    reporter.end();
    const clear = '\r\u001b[K';
    expect(all().split(clear)).toEqual([
      '',
      'Round 1 (0 ms)',
      'Round 1 (1 s)',
      'Round 1 (2 s)',
      'done\n',
      'Round 1 (2 s)',
      '',
    ]);
    expect(clock.waiting).toBe(0);
  });

  it('never writes a live line that is wider than the terminal', () => {
    const { reporter, all } = stage(true, { NO_COLOR: '1' });
    reporter.status('x'.repeat(100));
    expect(all().replace('\r\u001b[K', '').length).toBe(39);
    reporter.end();
  });
});
