import { expect, it } from 'vitest';
import { roleStateName, serviceStateName } from './states.ts';

it('HOLD is 15 of a service and 11 of a role; up to COOLDOWN both count alike', () => {
  expect([0, 10, 11, 15, 16].map(serviceStateName)).toEqual(['PENDING', 'COOLDOWN', 'DEPLOYING_NETS', 'HOLD', 'OTHER']);
  expect([0, 10, 11, 12].map(roleStateName)).toEqual(['PENDING', 'COOLDOWN', 'HOLD', 'OTHER']);
});
