import type { VariableName } from '@oneflower/contract';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { awayEffects } from './away-effects.ts';
import type { Effect } from './effect.ts';
import { gateEffects } from './gate-effects.ts';
import { guestEffects } from './guest-effects.ts';
import { runEffects } from './run-effects.ts';
import { Scene } from './scene.ts';
import { trainingEffects } from './training-effects.ts';

/** One test a variable, under its name. A variable without one does not compile. */
const effects = {
  ...gateEffects,
  ...guestEffects,
  ...runEffects,
  ...trainingEffects,
  ...awayEffects,
} satisfies Record<VariableName, Effect>;

/** Flower is slow to start, and the releases of the full run are installed. */
const longest = process.env.ONEFLOWER_FULL === '1' ? 600_000 : 240_000;

let scene: Scene | undefined;

beforeAll(async () => {
  scene = await Scene.open();
});

afterAll(() => scene?.close(), 120_000);

describe('the effect of each context variable', () => {
  for (const [name, effect] of Object.entries(effects)) it(name, () => effect(opened(scene)), longest);
});

function opened(scene: Scene | undefined): Scene {
  if (scene) return scene;
  throw new Error('The scene was not opened');
}
