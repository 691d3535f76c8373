import { isOneFlowerError } from '@oneflower/contract';
import { decodeCall, encodeFault, encodeResponse, type XmlRpcCall, type XmlRpcValue } from '@oneflower/opennebula';
import type { OnedAnswer } from '../interfaces.ts';
import { hasNonBmp, nonBmpReason } from './characters.ts';

/** What the HTTP server asks of an oned. */
export interface Callable {
  dispatch(method: string, params: readonly XmlRpcValue[]): OnedAnswer;
  /** Milliseconds since the epoch, for the Date header. */
  now(): number;
}

const improper = 'Call XML not a proper XML-RPC call.';
const broken = `${improper}  Call is not valid XML.  Invalid XML "content".  Problem with token at '...': no element found`;

const entities: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&amp;': '&', '&quot;': '"', '&apos;': "'" };

/** The first text of a call that holds a character beyond U+FFFF. */
function refusedText(body: string): string | undefined {
  for (const [, text = ''] of body.matchAll(/<string>([^<]*)<\/string>/g)) {
    if (hasNonBmp(text)) return text.replace(/&(?:lt|gt|amp|quot|apos);/g, entity => entities[entity] ?? entity);
  }
  return hasNonBmp(body) ? body : undefined;
}

function refuse(body: string): string {
  const text = refusedText(body);
  return encodeFault({ code: -503, message: text === undefined ? broken : `${improper}  ${nonBmpReason(text)}` });
}

function readCall(body: string): XmlRpcCall | undefined {
  try {
    return decodeCall(body);
  } catch (error) {
    if (isOneFlowerError(error)) return undefined;
    throw error;
  }
}

/** The five values of a refusal; the last travels as i8, whatever its size. */
function encodeRefusal(answer: Extract<OnedAnswer, { ok: false }>): string {
  const plain = encodeResponse([false, answer.message, answer.errno, answer.objectId, -1]);
  const last = plain.lastIndexOf('<i4>-1</i4>');
  return `${plain.slice(0, last)}<i8>-1</i8>${plain.slice(last + '<i4>-1</i4>'.length)}`;
}

/** Answers the body of a request with the body of a response. */
export function answerCall(oned: Callable, body: string): string {
  const call = readCall(body);
  if (!call) return refuse(body);
  const answer = oned.dispatch(call.method, call.params);
  if (!answer.ok) {
    return answer.errno < 0 ? encodeFault({ code: answer.errno, message: answer.message }) : encodeRefusal(answer);
  }
  if (call.method.startsWith('system.')) return encodeResponse(answer.value);
  return encodeResponse([true, answer.value, 0]);
}
