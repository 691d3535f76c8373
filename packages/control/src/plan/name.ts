import { OneFlowerError } from '@oneflower/contract';

export const defaultServiceName = 'flower';

/**
 * Checks a service's name: it becomes the name of a OneFlow service and of a local file.
 * @throws OneFlowerError `name-invalid`.
 */
export function checkServiceName(name: string): string {
  if (/^[A-Za-z][A-Za-z0-9._-]{0,62}$/.test(name)) return name;
  throw new OneFlowerError({
    code: 'name-invalid',
    message: `${JSON.stringify(name.slice(0, 80))} cannot be the name of a service.`,
    reason: 'A name starts with a letter and has at most 63 letters, digits, dots, dashes and underscores.',
    remedy: 'Choose another name.',
    fault: 'user',
  });
}
