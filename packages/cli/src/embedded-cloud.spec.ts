import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStage, type Stage } from './testing/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(() => stage.close());

describe('on an embedded cloud', () => {
  it('a service is deployed, shown, scaled and deleted', async () => {
    const deployed = await stage.run('deploy', 'sensors', '--nodes', '2', '--json');
    expect(deployed.stderr).toContain('Service sensors: RUNNING');
    expect(deployed.code).toBe(0);
    expect(deployed.document()).toMatchObject({ schemaVersion: 1, service: { name: 'sensors', nodes: 2, run: null } });

    const shown = await stage.run('status', '--json');
    expect(shown.document()).toMatchObject({
      services: [
        {
          name: 'sensors',
          state: 'RUNNING',
          vms: [
            { role: 'superlink', state: 'RUNNING', ready: true },
            { role: 'supernode', ready: true },
            { role: 'supernode', ready: true },
          ],
          flower: { flowerVersion: '1.41.0' },
          flowerUnknown: null,
        },
      ],
    });

    const scaled = await stage.run('scale', 'sensors', '3', '--wait', '--json');
    expect(scaled.document()).toMatchObject({ service: { from: 2, to: 3 } });

    const deleted = await stage.run('delete', 'sensors', '--json');
    expect(deleted.stderr).toContain('removal');
    expect(deleted.document()).toMatchObject({ service: { name: 'sensors', vms: 4 } });
    expect((await stage.run('status')).stdout).toBe('There is no Flower service. Deploy one with oneflower deploy.\n');
    expect(stage.driver.running()).toEqual([]);
  });
});
