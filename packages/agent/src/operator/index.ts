export { createOperatorApi } from './server.ts';
export type { OperatorApi, OperatorApiOptions, OperatorSource } from './types.ts';
