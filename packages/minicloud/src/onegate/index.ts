export { createFlowClient } from './flow-client.ts';
export { createOneGate, type OneGate, type OneGateOptions } from './server.ts';
export type { GateFlow, GateNode, GateRole, GateService } from './service.ts';
export { makeToken } from './token.ts';
