import type { ArgumentSpec } from './spec.ts';

/** A service of the cloud; where there is one only, it need not be named. */
export const serviceOrOnly: ArgumentSpec = { name: '[name]', help: 'name of the service (default: the only one)' };
