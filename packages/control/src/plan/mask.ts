import { findVariable } from '@oneflower/contract';

/** Stands in a shown request where a secret is. */
export const mask = '(not shown)';

/** A copy of a request's content in which no secret variable's value is left. */
export function maskSecrets<Content>(content: Content): Content {
  return JSON.parse(
    JSON.stringify(content, (key, value) =>
      typeof value === 'string' && value !== '' && findVariable(key)?.secret ? mask : value,
    ),
  );
}
