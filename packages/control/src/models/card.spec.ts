import type { ModelManifest } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { modelCard, renderCard } from './card.ts';

const manifest: ModelManifest = {
  runId: '7',
  app: 'anomaly-detection',
  file: 'model.npz',
  bytes: 10,
  sha256: 'a'.repeat(64),
  round: 4,
  savedAt: '2026-01-01T00:00:00Z',
  flowerVersion: '1.41.0',
  metrics: { roc_auc: 0.98765432, privacy_epsilon: 3.5 },
  details: {
    framework: 'sklearn',
    strategy: 'FedAdam',
    strategy_parameters: { eta: 0.1 },
    num_rounds: 5,
    best: { round: 3, metric: 'roc_auc', value: 0.99 },
    node_examples: { '123': 900, '456': 1100 },
    privacy: { privacy_epsilon: 3.5 },
    versions: { numpy: '2.3.0' },
    history: [
      { round: 1, metrics: { roc_auc: 0.9 }, seconds: 1, trained: true },
      { round: 2, metrics: { roc_auc: 0.95, loss: 0.2 }, seconds: 1, trained: true },
    ],
  },
};
const file = { format: 'pt', bytes: 99, sha256: 'b'.repeat(64) };

describe('a model card', () => {
  it('says what the model is and how it came about', () => {
    const card = modelCard(manifest, file);
    expect(card).toMatchObject({
      ...{ runId: '7', round: 4, rounds: 5, strategy: 'FedAdam', nodeExamples: { '123': 900, '456': 1100 } },
      ...{ versions: { flower: '1.41.0', numpy: '2.3.0' }, privacy: { privacy_epsilon: 3.5 }, file },
    });
    const lines = renderCard(card).split('\n');
    expect(lines).toContain('# anomaly-detection, run 7, round 4 of 5');
    expect(lines).toContain('- Strategy: FedAdam (eta 0.1)');
    expect(lines).toContain('- Best round: 3 (roc_auc 0.99)');
    expect(lines).toContain('| roc_auc | 0.987654 |');
    expect(lines).toContain('| All 2 | 2000 |');
    expect(lines).toContain('| privacy_epsilon | 3.5 |');
    expect(lines).toContain('| Round | roc_auc | loss |');
    expect(lines).toContain('| 1 | 0.9 |  |');
    expect(lines).toContain(`- File: pt, 99 bytes, SHA-256 ${'b'.repeat(64)}`);
  });

  it('shows nothing of what an app tells wrongly', () => {
    const wrong = {
      framework: 7,
      strategy: null,
      node_examples: { '1': 'many' },
      history: 'long',
      best: { round: 'first' },
      privacy: [],
      versions: 3,
      strategy_parameters: { eta: [] },
    };
    const card = modelCard({ ...manifest, metrics: {}, details: wrong }, file);
    expect(card).toMatchObject({ framework: null, strategy: null, nodeExamples: {}, history: [], best: null });
    const text = renderCard(card);
    expect(text).toContain('- Strategy: not told');
    expect(text).toContain('Trained without differential privacy.');
    expect(text).toContain('How much data the nodes have was not told.');
  });

  it('says what was done for privacy, and where no budget can be told', () => {
    const clipped = { privacy_clipping_norm: 1.5, privacy_noise_multiplier: 0 };
    const noisy = { privacy_clipping_norm: 1.5, privacy_noise_multiplier: 2, privacy_delta: 0.00001 };
    const lines = (privacy: object) =>
      renderCard(modelCard({ ...manifest, details: { privacy } }, file))
        .split('\n## ')
        .find(section => section.startsWith('Privacy'))
        ?.trim()
        .split('\n');
    const none = 'Trained without differential privacy.';
    const noNoise = 'Updates were clipped, but there was no noise: this is no differential privacy.';
    const unbounded = 'No privacy budget can be told: nothing bounds what the rounds have let out.';
    const table = ['| What | Value |', '| --- | --- |', '| privacy_clipping_norm | 1.5 |'];
    const noise = ['| privacy_noise_multiplier | 2 |', '| privacy_delta | 0.00001 |'];
    expect(lines({})).toEqual(['Privacy', '', none]);
    expect(lines(clipped)).toEqual(['Privacy', '', noNoise, '', ...table, '| privacy_noise_multiplier | 0 |']);
    expect(lines(noisy)).toEqual(['Privacy', '', unbounded, '', ...table, ...noise]);
    expect(lines({ ...noisy, privacy_epsilon: 3 })).toEqual([
      'Privacy',
      '',
      ...table,
      ...noise,
      '| privacy_epsilon | 3 |',
    ]);
  });

  it('is not broken by the names that apps give', () => {
    const details = { strategy: 'a|b\n<script>', node_examples: { 'x | y\n# z': 1 } };
    const text = renderCard(modelCard({ ...manifest, app: '[x](http://y)', details }, file));
    expect(text).toContain('- Strategy: a\\|b \\<script\\>');
    expect(text).toContain('| x \\| y # z | 1 |');
    expect(text).toContain('# \\[x\\](http://y), run 7');
  });

  it('shows the rounds of a long training at even distances, the last among them', () => {
    const history = Array.from({ length: 1000 }, (_, index) => ({
      round: index + 1,
      metrics: { loss: index },
      seconds: 1,
    }));
    const rows = renderCard(modelCard({ ...manifest, details: { history } }, file)).match(/^\| \d+ \| \d+ \|$/gm);
    expect(rows?.length).toBeLessThan(30);
    expect(rows?.at(-1)).toBe('| 1000 | 999 |');
  });
});
