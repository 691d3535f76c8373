/** OneGate alone, for the agent in the guest: this entry pulls no XML. */
export * from '../failure.ts';
export { connectionTransport } from '../http/connection.ts';
export type { ClientOptions, RetryPolicy } from '../http/gateway.ts';
export type { HttpAnswer, HttpRequest, HttpTransport } from '../http/transport.ts';
export { TransportError } from '../http/transport.ts';
export { ROLE_STATES, type RoleState, SERVICE_STATES, type ServiceState } from '../oneflow/states.ts';
export * from '../template/attributes.ts';
export type { LcmState, VmState } from '../template/states.ts';
export { encodeAttributes, encodeErasure, isPlainValue, RESTRICTED_ATTRIBUTES } from './attributes.ts';
export { createOnegateClient, type OnegateClient, type OnegateOptions } from './client.ts';
export type { GateService, GateVm } from './documents.ts';
