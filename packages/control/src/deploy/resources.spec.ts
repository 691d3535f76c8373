import { describe, expect, it } from 'vitest';
import type { Cloud } from '../cloud.ts';
import { findResources } from './resources.ts';

interface Item {
  id: number;
  name: string;
  uname: string;
  state: string;
}

function item(id: number, name: string, uname = 'tester', state = 'READY'): Item {
  return { id, name, uname, state };
}

function cloudWith(images: Item[], networks: Item[]): Cloud {
  return {
    access: { user: 'tester' },
    oned: { images: { list: async () => images }, networks: { list: async () => networks } },
  } as unknown as Cloud;
}

const images = [item(0, 'OneFlower'), item(1, 'other')];
const networks = [item(3, 'lan'), item(4, 'oneflower')];

describe('image and network', () => {
  it('are found by default name, name, number, or because there is only one', async () => {
    expect(await findResources(cloudWith(images, networks), {})).toEqual({
      image: { id: 0, name: 'OneFlower' },
      network: { id: 4, name: 'oneflower' },
    });
    const named = await findResources(cloudWith(images, networks), { image: 'other', network: '3' });
    expect([named.image.id, named.network.id]).toEqual([1, 3]);
    expect((await findResources(cloudWith(images, [item(9, 'wan')]), {})).network.id).toBe(9);
  });

  it("of one's own come before those of others", async () => {
    const both = [item(7, 'OneFlower', 'somebody'), item(8, 'OneFlower')];
    expect((await findResources(cloudWith(both, networks), {})).image.id).toBe(8);
  });

  it.each([
    [[], networks, {}, 'image-missing'],
    [images, [], {}, 'network-missing'],
    [images, [item(1, 'a'), item(2, 'b')], {}, 'network-missing'],
    [images, networks, { image: 'OneFlowr' }, 'image-missing'],
    [images, networks, { network: 'nothing' }, 'network-missing'],
    [[item(0, 'OneFlower', 'tester', 'LOCKED')], networks, {}, 'image-not-ready'],
    [[item(7, 'OneFlower', 'a'), item(8, 'OneFlower', 'b')], networks, {}, 'name-ambiguous'],
  ])('%#: %j', async (someImages, someNetworks, request, code) => {
    await expect(findResources(cloudWith(someImages, someNetworks), request)).rejects.toMatchObject({ code });
  });

  it('that are mistyped are corrected', async () => {
    await expect(findResources(cloudWith(images, networks), { image: 'OneFlowr' })).rejects.toMatchObject({
      message: expect.stringContaining('Did you mean OneFlower?'),
    });
  });
});
