import { type JsonObject, numberAt } from '../json.ts';
import type { Role } from './body.ts';
import type { EngineContext } from './context.ts';
import type { LiveService } from './live.ts';

/** OneFlow's own settings: how many VMs at once, and how many seconds between. */
const DEFAULT_NUMBER = 1;
const DEFAULT_PERIOD = 60;

/**
 * Does an action to the VMs of roles, `number` at a time with `period` seconds between. The first go at once; VMs
 * that refuse (wrong state) are passed over.
 */
export function actOnVms(
  context: EngineContext,
  service: LiveService,
  roles: Role[],
  action: string,
  params: JsonObject,
): void {
  const number = Math.max(1, numberAt(params, 'number') ?? DEFAULT_NUMBER);
  const period = Math.max(0, numberAt(params, 'period') ?? DEFAULT_PERIOD);
  for (const role of roles) {
    role.vmIds.forEach((vmId, index) => {
      const session = context.sessionOf(service);
      const wait = Math.floor(index / number) * period * 1000;
      if (wait === 0) context.cloud.attempt(session, 'one.vm.action', action, vmId);
      else {
        const timer = context.clock.after(wait, () => {
          service.actions.delete(timer);
          context.cloud.attempt(session, 'one.vm.action', action, vmId);
        });
        service.actions.add(timer);
      }
    });
  }
}
