export { decodeCall, decodeResponse } from './decode.ts';
export { encodeCall, encodeFault, encodeResponse } from './encode.ts';
export type { XmlRpcCall, XmlRpcFault, XmlRpcResponse, XmlRpcValue } from './value.ts';
