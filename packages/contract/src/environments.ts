import type { Framework } from './use-cases.ts';

/** The framework whose environment is always there: in every image, and in the software of the embedded cloud. */
export const bakedFramework = 'sklearn' satisfies Framework;

/** Name of the folder that holds the Python environment of a Flower release and a framework, such as `1.41.0-pytorch`. */
export function environmentName(flowerVersion: string, framework: Framework): string {
  return framework === bakedFramework ? flowerVersion : `${flowerVersion}-${framework}`;
}
