import { join } from 'node:path';

/** The checkout that this file lies in. */
export const checkout = join(import.meta.dirname, '..', '..', '..', '..');

/** What runs inside Flower, with its lock files. */
export const flowerSources = join(checkout, 'flower');
