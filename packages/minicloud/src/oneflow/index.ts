export type { RestAnswer, RestRequest } from './rest/http.ts';
export { createOneFlow, type OneFlow, type OneFlowOptions } from './server.ts';
