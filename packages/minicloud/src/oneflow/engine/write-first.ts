import { cloneJson } from '../json.ts';
import type { EngineContext } from './context.ts';
import type { LiveService } from './live.ts';

/**
 * Changes a service and writes it before anything is done to its VMs: a restart in between finds out what is left to
 * do. Throws what the writing throws (the disk may be full), with nothing changed.
 */
export function writeFirst(context: EngineContext, service: LiveService, change: () => void): void {
  const before = cloneJson(service.body.json);
  change();
  try {
    context.save(service);
  } catch (error) {
    service.body.restore(before);
    throw error;
  }
}
