import { FakeClock } from '@oneflower/contract';
import { expect, it } from 'vitest';
import type { Oned } from '../interfaces.ts';
import { untilSeedUsable } from './seed.ts';

it('waits for the network that is being made, although the image is ready', async () => {
  const clock = new FakeClock();
  let network = 2;
  const oned: Oned = {
    call: (_, method) => {
      const value =
        method === 'one.imagepool.info'
          ? '<IMAGE_POOL><IMAGE><NAME>OneFlower</NAME><STATE>1</STATE></IMAGE></IMAGE_POOL>'
          : `<VNET_POOL><VNET><NAME>oneflower</NAME><STATE>${network}</STATE></VNET></VNET_POOL>`;
      return { ok: true, value };
    },
    onVmEvent: () => () => undefined,
    gateSecret: () => undefined,
  };
  let usable = false;
  const waited = untilSeedUsable(oned, 'oneadmin:secret', clock).then(() => {
    usable = true;
  });
  await clock.advance(100);
  expect(usable).toBe(false);
  network = 1;
  await clock.advance(100);
  await waited;
  expect(usable).toBe(true);
});
