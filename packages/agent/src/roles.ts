import type { Guest } from './guest.ts';
import type { RoleMachine } from './role.ts';
import { SuperLink } from './superlink.ts';
import { SuperNode } from './supernode.ts';

/** The machine of the role that the guest's context names. */
export function machineOf(guest: Guest): RoleMachine {
  return guest.context.role === 'superlink' ? new SuperLink(guest) : new SuperNode(guest);
}
