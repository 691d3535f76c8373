import type { FlowerEvent } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { activityAfter, describeEvent } from './describe-event.ts';
import { formatBytes, formatDuration, formatMetric } from './text.ts';

const cases: [Omit<FlowerEvent, 'timestamp'>, string | undefined][] = [
  [{ event: 'boot_started', data: { version: '0.1.0', reboot: true } }, 'SuperLink: boots again (agent 0.1.0)'],
  [
    { event: 'boot_step', data: { step: 'certificates', outcome: 'degraded', seconds: 12.4, attempts: 3 } },
    'SuperLink: certificates degraded, 3 attempts (12 s)',
  ],
  [
    { event: 'boot_failed', data: { code: 'port_taken', step: 'gate' } },
    'SuperLink: not ready, gate failed (port_taken)',
  ],
  [{ event: 'process_started', data: { name: 'flower-superlink', pid: 1, restarts: 0 } }, undefined],
  [
    {
      event: 'process_ended',
      data: { name: 'flower-superlink', exit_code: null, signal: 'SIGKILL', restart_in_seconds: 1 },
    },
    'SuperLink: flower-superlink ended (SIGKILL), restart in 1.0 s',
  ],
  [{ event: 'client_join', data: { node_id: '17', name: null } }, 'SuperNode 17 online'],
  [
    {
      event: 'round_end',
      data: {
        run_id: '7',
        round: 2,
        num_clients_responded: 2,
        num_clients_failed: 1,
        round_duration_seconds: 75,
        metrics: { loss: 0.00001, auc: 0.5 },
      },
    },
    'Round 2: loss 1.000e-5, auc 0.5000 (2 SuperNodes, 1 failed, 1 min 15 s)',
  ],
  [
    { event: 'round_failed', data: { run_id: '7', round: 2, error: 'its aggregate is no finite number' } },
    'Round 2 has failed, the model stays as it was: its aggregate is no finite number',
  ],
  [
    { event: 'waiting_for_nodes', data: { run_id: '7', wanted: 2, online: 1 } },
    'Run 7: waits for nodes: 1 of 2 online',
  ],
  [
    { event: 'model_failed', data: { run_id: '7', round: 3, error: 'No space left on device' } },
    'Run 7: no final model is kept, the checkpoint of round 3 holds it: No space left on device',
  ],
  [
    { event: 'data_refused', data: { run_id: '7', file: 'rows.csv', line: 3, error: 'not a number' } },
    'Data refused: rows.csv, line 3: not a number',
  ],
];

describe('an event in one line', () => {
  it.each(cases)('%o', (event, line) => {
    expect(describeEvent({ ...event, timestamp: '2026-01-01T00:00:00Z' } as FlowerEvent)).toBe(line);
  });
});

it('what is going on is a wait for nodes until a round begins', () => {
  const at = { timestamp: '2026-01-01T00:00:00Z' };
  expect(activityAfter({ ...at, event: 'waiting_for_nodes', data: { run_id: '7', wanted: 2, online: 1 } })).toBe(
    'Waiting for nodes: 1 of 2 online',
  );
  expect(activityAfter({ ...at, event: 'round_start', data: { run_id: '7', round: 1, num_clients_selected: 2 } })).toBe(
    'Round 1 with 2 SuperNodes',
  );
});

describe('figures', () => {
  it.each([
    [999, '999 B'],
    [3092, '3.1 kB'],
    [100_000_000, '100.0 MB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [400, '400 ms'],
    [59_400, '59 s'],
    [125_000, '2 min 5 s'],
    [3_720_000, '1 h 2 min'],
  ])('%d milliseconds are %s', (ms, text) => expect(formatDuration(ms)).toBe(text));

  it.each([
    [3, '3'],
    [0.98765, '0.9877'],
    [0, '0'],
    [-123456.7, '-1.235e+5'],
  ])('%d is %s', (value, text) => expect(formatMetric(value)).toBe(text));
});
