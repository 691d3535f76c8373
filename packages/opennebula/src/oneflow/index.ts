export { createOneflowClient, type OneflowClient, type OneflowOptions, type ScaleOptions } from './client.ts';
export { encodeBody } from './sendable.ts';
export type * from './types.ts';
