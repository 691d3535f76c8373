import { isOneFlowerError } from '@oneflower/contract';
import { CloudFailure } from '../failure.ts';
import { type ClientOptions, createGateway } from '../http/gateway.ts';
import { createLimiter } from '../http/limit.ts';
import type { HttpAnswer } from '../http/transport.ts';
import { decodeResponse, encodeCall, type XmlRpcValue } from '../xmlrpc/index.ts';
import { onedFault, onedRefusal } from './failure.ts';

/** oned serves 15 connections; one more waits until another closes (14.8 s were seen). */
export const MAX_CONNECTIONS = 15;

export interface OnedOptions extends ClientOptions {
  /** The XML-RPC address, for example `http://cloud:2633/RPC2`. */
  endpoint: string;
  /** `user:password` or `user:token`. */
  session: string;
}

/** One call; the session is put in front of `params`. `safe` means that repeating it does no harm. */
export type OnedCall = (method: string, params: readonly XmlRpcValue[], safe: boolean) => Promise<XmlRpcValue>;

/** Calls oned: one connection per call, at most {@link MAX_CONNECTIONS} at a time. */
export function createOnedCaller(options: OnedOptions): OnedCall {
  const gateway = createGateway('oned', options, createLimiter(MAX_CONNECTIONS));
  return (method, params, safe) => {
    const body = encodeCall(method, [options.session, ...params]);
    const request = { method: 'POST', url: options.endpoint, headers: HEADERS, body } as const;
    return gateway({ name: method, safe, request, read: answer => readAnswer(method, answer) });
  };
}

const HEADERS = { 'content-type': 'text/xml; charset=utf-8', accept: '*/*' };

function readAnswer(method: string, answer: HttpAnswer): XmlRpcValue {
  if (answer.status !== 200) throw garbled(method, answer, `HTTP status ${answer.status}`);
  const response = decode(method, answer);
  if ('fault' in response) throw onedFault(method, response.fault);
  if (!Array.isArray(response.value)) throw garbled(method, answer, 'no array in the answer');
  const [success, value, errno] = response.value;
  if (success === true && value !== undefined) return value;
  if (success === false && typeof value === 'string' && typeof errno === 'number')
    throw onedRefusal(method, value, errno);
  throw garbled(method, answer, 'neither a result nor an error');
}

function decode(method: string, answer: HttpAnswer) {
  try {
    return decodeResponse(answer.body);
  } catch (error) {
    throw garbled(method, answer, isOneFlowerError(error) ? error.message : 'unreadable', error);
  }
}

/** A gateway that is down (502 to 504) may be back soon. */
function garbled(call: string, { status }: HttpAnswer, words: string, cause?: unknown): CloudFailure {
  const transient = status >= 502 && status <= 504;
  return new CloudFailure({ server: 'oned', call, kind: 'garbled', words, status, transient, cause });
}
