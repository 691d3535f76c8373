export { createOperatorClient, type ModelStream, type OperatorClient, type WhichModel } from './client.ts';
export { connectOperator, connectOperatorOf, type OperatorPlace } from './connect.ts';
export { type FollowOptions, followEvents, isPassing, type NumberedEvent } from './follow.ts';
export type { OperatorAccess } from './transport.ts';
