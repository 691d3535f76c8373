import type { Clock } from '@oneflower/contract';
import type { Cloud } from '../cloud.ts';
import type { LiveService } from './live.ts';
import type { VmWatch } from './watch.ts';

/** What the flows of the engine (deploying, scaling, undeploying …) work with. */
export interface EngineContext {
  readonly clock: Clock;
  readonly cloud: Cloud;
  readonly watch: VmWatch;
  /** A session that acts as the service's owner. */
  sessionOf(service: LiveService): string;
  /** Writes the service's document now. */
  save(service: LiveService): void;
  /** Runs `run` for a service that is still there, and saves what it changed. */
  later(service: LiveService, ms: number, run: () => void): void;
  /** The service's document is gone: nothing of it is watched any more. */
  forget(service: LiveService): void;
}

/** The clock's time as documents carry it. */
export function seconds(clock: Clock): number {
  return Math.floor(clock.now() / 1000);
}
