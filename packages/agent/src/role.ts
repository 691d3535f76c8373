import type { Role } from '@oneflower/contract';
import type { BootOutcome, BootSurroundings } from './boot/engine.ts';

/** What the agent does in one of the two roles. */
export interface RoleMachine {
  role: Role;
  /** Runs the role's boot steps. */
  boot(surroundings: BootSurroundings, signal: AbortSignal): Promise<BootOutcome>;
  /** Keeps what was published true. Ends when there is a reason to boot again. */
  watch(signal: AbortSignal): Promise<void>;
  /** Ends everything of the role in an orderly way. */
  stop(): Promise<void>;
}
