export { createFlowClient } from './flow-client.ts';
export { createOneGate, type OneGate } from './server.ts';
