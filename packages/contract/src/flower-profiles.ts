/** Release that is baked into the images and installed by default. */
export const defaultFlowerVersion = '1.41.0';

/**
 * How a range of Flower releases is started and spoken to (tried on 1.39.0 and 1.41.0).
 * From 1.40 one HTTP port carries the Fleet, Control and Runtime APIs; in 1.39 the Fleet API is gRPC on a port of its own.
 */
export interface FlowerProfile {
  /** Lowest release, inclusive, as [major, minor]. */
  from: readonly [number, number];
  /** Highest release, inclusive. */
  to: readonly [number, number];
  /** What SuperNodes speak. */
  fleet: 'http' | 'grpc';
  /** Whether the launcher of warm workers knows how these releases wait; others are started as they are. */
  warm: boolean;
}

export const flowerProfiles: readonly FlowerProfile[] = [
  { from: [1, 39], to: [1, 39], fleet: 'grpc', warm: false },
  { from: [1, 40], to: [1, 40], fleet: 'http', warm: false },
  { from: [1, 41], to: [1, 42], fleet: 'http', warm: true },
];

/** Profile of a release such as `1.41.0`, or undefined when OneFlower does not know how to run it. */
export function profileOf(version: string): FlowerProfile | undefined {
  const match = /^(\d+)\.(\d+)\.(\d+)$/.exec(version);
  if (!match) return undefined;
  const release = Number(match[1]) * 1000 + Number(match[2]);
  return flowerProfiles.find(({ from, to }) => release >= from[0] * 1000 + from[1] && release <= to[0] * 1000 + to[1]);
}

/** The known releases as people read them: `1.39 to 1.42`. */
export function knownReleases(): string {
  const first = flowerProfiles[0];
  const last = flowerProfiles.at(-1);
  return `${first?.from.join('.')} to ${last?.to.join('.')}`;
}
