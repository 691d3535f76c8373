/** Where a request goes. */
export type Destination = 'fleet' | 'site' | 'nowhere';

const segment = '[A-Za-z0-9_-]+';
const httpFleet = new RegExp(`^/v1/fleet(/${segment})+(\\?[!-~]*)?$`);
const grpcFleet = /^\/flwr\.proto\.Fleet\/[A-Za-z0-9]+$/;
const site = new RegExp(`^/v1/site(/${segment})+$`);

/**
 * Decides by the request target as it was sent. Only plain segments pass: nothing encoded, no dots, no empty segment,
 * no absolute form, so that Flower cannot read another path in it than the gate did.
 */
export function destinationOf(target: string | undefined, fleet: 'http' | 'grpc'): Destination {
  if (target === undefined) return 'nowhere';
  if (site.test(target)) return 'site';
  return (fleet === 'http' ? httpFleet : grpcFleet).test(target) ? 'fleet' : 'nowhere';
}
