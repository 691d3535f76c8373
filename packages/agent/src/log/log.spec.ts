import { FakeClock } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { createLog } from './log.ts';

function world() {
  const lines: string[] = [];
  return { lines, log: createLog(line => lines.push(line), new FakeClock(Date.UTC(2026, 0, 2, 3, 4, 5, 678))) };
}

describe('log', () => {
  it('writes text lines', () => {
    const { log, lines } = world();
    log.info('The VM is ready.');
    log.warning('hello', { logger: 'flwr' });
    expect(lines).toEqual([
      '[2026-01-02T03:04:05.678Z] [INFO] The VM is ready.\n',
      '[2026-01-02T03:04:05.678Z] [WARNING] [flwr] hello\n',
    ]);
  });

  it('writes one JSON object a line with the fields of the schema', () => {
    const { log, lines } = world();
    log.configure({ format: 'json', role: 'superlink' });
    log.info('A round begins.', { event: 'round_start', data: { round: 1 } });
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      timestamp: '2026-01-02T03:04:05.678Z',
      level: 'INFO',
      logger: 'oneflower',
      role: 'superlink',
      message: 'A round begins.',
      source: expect.stringMatching(/^log\.spec\.ts:\d+$/),
      event: 'round_start',
      data: { round: 1 },
    });
  });

  it('leaves out what is below its level', () => {
    const { log, lines } = world();
    log.configure({ level: 'WARNING' });
    log.info('no');
    log.error('yes');
    expect(lines).toHaveLength(1);
  });

  it.each(['text', 'json'] as const)('lets no message look like a line of its own in %s', format => {
    const { log, lines } = world();
    log.configure({ format });
    log.info('a\n[2026-01-01T00:00:00.000Z] [ERROR] forged\r\x1b[31m');
    expect(lines).toHaveLength(1);
    expect(
      lines
        .join('')
        .split('\n')
        .filter(line => line.startsWith('[')).length,
    ).toBeLessThanOrEqual(1);
    expect(lines.join('')).not.toContain('\x1b');
  });

  it('commands no terminal', () => {
    const { log, lines } = world();
    log.info('a\x1b[2J\x9b2J\x85b');
    expect(lines[0]).toMatch(/\] a\?\[2J\?2J\?b\n$/);
  });
});
