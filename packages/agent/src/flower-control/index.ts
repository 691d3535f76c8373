export { type ControlApiOptions, createControlApi } from './client.ts';
export type { ControlApi, FlowerId, FlowerNode, FlowerRun, FlowerRunStatus, LogChunk } from './types.ts';
