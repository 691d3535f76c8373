export { createProcessDriver, type ProcessDriver, type ProcessDriverOptions } from './driver.ts';
export type { AgentCommand, GuestEvent } from './guest.ts';
