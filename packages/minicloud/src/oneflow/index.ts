export { createOneFlow, type OneFlow } from './server.ts';
