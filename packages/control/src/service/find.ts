import { nearest, OneFlowerError, roleNames } from '@oneflower/contract';
import type { Service } from '@oneflower/opennebula';
import type { Cloud } from '../cloud.ts';

/** The services of a cloud that have the two roles of Flower. */
export async function listFlowerServices(cloud: Cloud): Promise<Service[]> {
  const services = await cloud.oneflow.services.list();
  return services.filter(isFlower);
}

/**
 * The service of a name, or of a number when no service has that name.
 * @throws OneFlowerError `service-not-found`, `service-ambiguous`, `service-foreign`.
 */
export async function findService(cloud: Cloud, nameOrId: string): Promise<Service> {
  const services = await cloud.oneflow.services.list();
  const named = services.filter(service => service.name === nameOrId);
  const numbered = services.filter(service => String(service.id) === nameOrId);
  const found = named.length > 0 ? named : numbered;
  const [service, ...others] = found;
  if (!service) throw notFound(nameOrId, services.filter(isFlower));
  if (others.length > 0) {
    throw new OneFlowerError({
      code: 'service-ambiguous',
      message: `There are ${found.length} services named ${nameOrId}: ${found.map(({ id }) => id).join(', ')}.`,
      remedy: 'Give the number of the one that is meant.',
      fault: 'user',
    });
  }
  if (isFlower(service)) return service;
  throw new OneFlowerError({
    code: 'service-foreign',
    message: `The service ${nameOrId} is not one of Flower: it has no roles ${roleNames.superlink} and ${roleNames.supernode}.`,
    remedy: 'Give the name of a service that oneflower deploy made.',
    fault: 'user',
  });
}

/**
 * The name of the only Flower service, for commands that were given none.
 * @throws OneFlowerError `service-not-found`, `service-ambiguous`.
 */
export async function onlyService(cloud: Cloud): Promise<string> {
  const services = await listFlowerServices(cloud);
  const [service, ...others] = services;
  if (service && others.length === 0) return service.name;
  if (!service) {
    throw new OneFlowerError({
      code: 'service-not-found',
      message: 'The cloud has no Flower service.',
      remedy: 'Deploy one with oneflower deploy.',
      fault: 'user',
    });
  }
  throw new OneFlowerError({
    code: 'service-ambiguous',
    message: `There are several services: ${services.map(({ name }) => name).join(', ')}.`,
    remedy: 'Give the name of the one that is meant.',
    fault: 'user',
  });
}

function isFlower(service: Service): boolean {
  const names = service.roles.map(role => role.name);
  return names.includes(roleNames.superlink) && names.includes(roleNames.supernode);
}

function notFound(name: string, services: Service[]): OneFlowerError {
  const names = services.map(service => service.name);
  const meant = nearest(name, names);
  return new OneFlowerError({
    code: 'service-not-found',
    message: `There is no service ${JSON.stringify(name)}.${meant ? ` Did you mean ${meant}?` : ''}`,
    reason: names.length > 0 ? `There are: ${names.join(', ')}.` : 'The cloud has no Flower service.',
    remedy: names.length > 0 ? 'Give one of these names.' : 'Deploy one with oneflower deploy.',
    fault: 'user',
  });
}
