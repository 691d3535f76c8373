import { failures } from '@oneflower/contract';
import { describe, expect, it } from 'vitest';
import { openingSteps } from './opening-steps.ts';
import { superLinkSteps } from './superlink-steps.ts';
import { superNodeSteps } from './supernode-steps.ts';

describe.each([
  ['SuperLink', superLinkSteps],
  ['SuperNode', superNodeSteps],
])('the boot of a %s', (_, own) => {
  const steps = [...openingSteps, ...own];

  it('withdraws first and publishes last', () => {
    expect(steps[0]?.name).toBe('withdraw');
    expect(steps.at(-1)?.name).toBe('publish');
  });

  it('names each step once, with a sentence, a deadline and a known failure', () => {
    expect(new Set(steps.map(({ name }) => name)).size).toBe(steps.length);
    for (const { does, deadlineSeconds, code } of steps) {
      expect(does).toMatch(/^[A-Z].*\.$/);
      expect(deadlineSeconds).toBeGreaterThan(0);
      expect(failures).toHaveProperty(code);
    }
  });
});
