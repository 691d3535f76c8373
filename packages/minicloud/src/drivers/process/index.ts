export { createProcessDriver, type ProcessDriver } from './driver.ts';
export type { AgentCommand } from './guest.ts';
