import { describe, expect, it } from 'vitest';
import { parseAppEvent } from './events.ts';

const timestamp = '2026-01-01T00:00:00.000Z';

describe('parseAppEvent', () => {
  it('reads an event that an app may write', () => {
    const data = { run_id: '1', round: 1, num_clients_selected: 2 };
    expect(parseAppEvent(JSON.stringify({ event: 'round_start', timestamp, data }))).toEqual({
      event: 'round_start',
      timestamp,
      data,
    });
  });

  it.each([
    ['what is not JSON', 'round_start'],
    ['an unknown event', JSON.stringify({ event: 'toString', timestamp, data: {} })],
    ['an event of the agent', JSON.stringify({ event: 'boot_ready', timestamp, data: { seconds: 1 } })],
    ['data of another form', JSON.stringify({ event: 'round_start', timestamp, data: { run_id: 1 } })],
    ['a time that is none', JSON.stringify({ event: 'round_start', timestamp: 'now', data: {} })],
  ])('does not take %s', (_, line) => {
    expect(parseAppEvent(line)).toBeUndefined();
  });
});
