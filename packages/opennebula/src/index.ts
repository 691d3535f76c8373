export * from './failure.ts';
export { fetchTransport } from './http/fetch.ts';
export type { ClientOptions, RetryPolicy } from './http/gateway.ts';
export type { HttpAnswer, HttpRequest, HttpTransport } from './http/transport.ts';
export { TransportError } from './http/transport.ts';
export * from './oned/index.ts';
export * from './template/index.ts';
export * from './xmlrpc/index.ts';
