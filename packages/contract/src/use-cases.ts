/** Machine learning frameworks that OneFlower has an environment for. */
export const frameworks = ['sklearn', 'pytorch', 'tensorflow'] as const;
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
  'anomaly-detection': { title: 'Anomaly detection on sensor rows', frameworks: ['sklearn', 'pytorch'] },
  'image-classification': { title: 'Classification of small images', frameworks: ['sklearn', 'pytorch', 'tensorflow'] },
  'llm-fine-tuning': { title: 'Fine-tuning of a language model by LoRA adapters', frameworks: ['pytorch'] },
} as const satisfies Record<string, UseCase>;

export type UseCaseName = keyof typeof useCases;
