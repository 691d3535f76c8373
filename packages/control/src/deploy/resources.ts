import { nearest, OneFlowerError } from '@oneflower/contract';
import type { Cloud } from '../cloud.ts';

export const defaultImage = 'OneFlower';
export const defaultNetwork = 'oneflower';

/** The image and the network that a service uses. */
export interface Resources {
  image: Named;
  network: Named;
}

export interface Named {
  id: number;
  name: string;
}

export interface ResourceRequest {
  /** Name or number. */
  image?: string | undefined;
  network?: string | undefined;
}

/**
 * Finds the image and the network by name or number.
 * @throws OneFlowerError `image-missing`, `image-not-ready`, `network-missing`, `name-ambiguous`.
 */
export async function findResources(cloud: Cloud, request: ResourceRequest): Promise<Resources> {
  const [image, network] = await Promise.all([
    findImage(cloud, request.image ?? defaultImage),
    findNetwork(cloud, request.network),
  ]);
  return { image, network };
}

async function findImage(cloud: Cloud, wanted: string): Promise<Named> {
  const images = await cloud.oned.images.list();
  const image = pick(images, wanted, 'image', cloud);
  if (!image) {
    throw missing(
      'image',
      wanted,
      images.map(one => one.name),
    );
  }
  if (image.state === 'READY' || image.state === 'USED' || image.state === 'USED_PERS') {
    return { id: image.id, name: image.name };
  }
  throw new OneFlowerError({
    code: 'image-not-ready',
    message: `The image ${image.name} is in state ${image.state}.`,
    reason: image.state === 'LOCKED' ? 'It is being copied or downloaded.' : 'It cannot be used as it is.',
    remedy: `See oneimage show ${image.id}.`,
  });
}

async function findNetwork(cloud: Cloud, wanted: string | undefined): Promise<Named> {
  const networks = await cloud.oned.networks.list();
  const names = networks.map(one => one.name);
  const only = wanted === undefined && networks.length === 1 ? networks[0] : undefined;
  const network = only ?? pick(networks, wanted ?? defaultNetwork, 'network', cloud);
  if (network) return { id: network.id, name: network.name };
  if (wanted !== undefined || names.length === 0) throw missing('network', wanted ?? defaultNetwork, names);
  throw new OneFlowerError({
    code: 'network-missing',
    message: 'It is not clear which network the VMs belong into.',
    reason: `There are several and none is named ${defaultNetwork}: ${names.join(', ')}.`,
    remedy: 'Name one with --network.',
    fault: 'user',
  });
}

interface Owned extends Named {
  uname: string;
}

/** By name, one's own before those of others; else by number. */
function pick<Item extends Owned>(items: Item[], wanted: string, kind: string, cloud: Cloud): Item | undefined {
  const named = items.filter(item => item.name === wanted);
  const mine = named.filter(item => item.uname === cloud.access.user);
  const candidates = mine.length > 0 ? mine : named;
  if (candidates.length <= 1) return candidates[0] ?? items.find(item => String(item.id) === wanted);
  throw new OneFlowerError({
    code: 'name-ambiguous',
    message: `There are several ${kind}s named ${wanted}: ${candidates.map(item => `${item.id} of ${item.uname}`).join(', ')}.`,
    remedy: `Give the number: --${kind} ${candidates[0]?.id}.`,
    fault: 'user',
  });
}

function missing(kind: 'image' | 'network', wanted: string, names: string[]): OneFlowerError {
  const meant = nearest(wanted, names);
  return new OneFlowerError({
    code: `${kind}-missing`,
    message: `There is no ${kind} ${wanted} in the cloud, or you may not see it.${meant ? ` Did you mean ${meant}?` : ''}`,
    reason: names.length > 0 ? `There are: ${names.slice(0, 20).join(', ')}.` : `There is no ${kind} at all.`,
    remedy:
      kind === 'image'
        ? 'Register the OneFlower image, or name another one with --image.'
        : 'Make a network, or name one with --network.',
    fault: 'user',
  });
}
