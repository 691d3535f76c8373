/** Machine learning frameworks whose environment OneFlower carries. */
export const frameworks = ['sklearn'] as const;
export type Framework = (typeof frameworks)[number];

/** A training app that comes with OneFlower. */
export interface UseCase {
  title: string;
  /** Frameworks that it runs on. */
  frameworks: readonly Framework[];
}

/** Use cases by the value of FL_USE_CASE; the key is also the name of the app's folder in `flower/apps`. */
export const useCases = {
  none: { title: 'No app: runs are submitted by hand', frameworks },
  'anomaly-detection': { title: 'Anomaly detection on sensor rows', frameworks: ['sklearn'] },
} as const satisfies Record<string, UseCase>;

export type UseCaseName = keyof typeof useCases;
