export { createOneflowClient, type OneflowClient, type OneflowOptions, type ScaleOptions } from './client.ts';
export { encodeBody } from './sendable.ts';
export { ROLE_STATES, SERVICE_STATES } from './states.ts';
export type * from './types.ts';
