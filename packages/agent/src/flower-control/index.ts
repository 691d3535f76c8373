export { createControlApi } from './client.ts';
export type { ControlApi, FlowerNode } from './types.ts';
