import { OneFlowerError } from '@oneflower/contract';
import { assertSendable } from '../xml/characters.ts';
import { encodeEntities } from '../xml/entities.ts';
import type { XmlRpcFault, XmlRpcValue } from './value.ts';

const INT32_MAX = 2 ** 31 - 1;
const INT32_MIN = -(2 ** 31);

/**
 * The body of a request.
 *
 * @throws OneFlowerError `unsendable-character`, `xmlrpc-number`
 */
export function encodeCall(method: string, params: readonly XmlRpcValue[]): string {
  assertSendable(method, 'the method name');
  const encoded = params.map(param => `<param>${encodeValue(param, '')}</param>`).join('');
  return `<?xml version="1.0" ?><methodCall><methodName>${encodeEntities(method)}</methodName><params>${encoded}</params></methodCall>\n`;
}

/** The body of an answer, laid out as the real server lays it out. Throws as {@link encodeCall}. */
export function encodeResponse(value: XmlRpcValue): string {
  return lines([
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<methodResponse>',
    '<params>',
    `<param>${encodeValue(value, '\r\n')}</param>`,
    '</params>',
    '</methodResponse>',
  ]);
}

/** The body of a fault, laid out as the real server lays it out. Throws as {@link encodeCall}. */
export function encodeFault(fault: XmlRpcFault): string {
  return lines([
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<methodResponse>',
    '<fault>',
    encodeValue({ faultCode: fault.code, faultString: fault.message }, '\r\n'),
    '</fault>',
    '</methodResponse>',
  ]);
}

function lines(parts: string[]): string {
  return parts.map(part => `${part}\r\n`).join('');
}

function encodeValue(value: XmlRpcValue, eol: string): string {
  return `<value>${encodeContent(value, eol)}</value>`;
}

function encodeContent(value: XmlRpcValue, eol: string): string {
  if (typeof value === 'string') {
    assertSendable(value, 'a text');
    return `<string>${encodeEntities(value)}</string>`;
  }
  if (typeof value === 'number') return encodeNumber(value);
  if (typeof value === 'boolean') return `<boolean>${value ? '1' : '0'}</boolean>`;
  if (Array.isArray(value)) {
    return `<array><data>${eol}${value.map(item => encodeValue(item, eol) + eol).join('')}</data></array>`;
  }
  return `<struct>${eol}${Object.entries(value)
    .map(member => encodeMember(member, eol))
    .join('')}</struct>`;
}

function encodeMember([name, value]: [string, XmlRpcValue], eol: string): string {
  assertSendable(name, 'a member name');
  return `<member><name>${encodeEntities(name)}</name>${eol}${encodeValue(value, eol)}</member>${eol}`;
}

function encodeNumber(value: number): string {
  if (!Number.isFinite(value)) {
    throw new OneFlowerError({ code: 'xmlrpc-number', message: `XML-RPC cannot carry ${value}.`, fault: 'bug' });
  }
  if (!Number.isSafeInteger(value)) return `<double>${plainDecimal(value)}</double>`;
  if (value > INT32_MAX || value < INT32_MIN) return `<i8>${value}</i8>`;
  return `<i4>${value}</i4>`;
}

/** XML-RPC has no exponents: 1e-7 is written 0.0000001. */
function plainDecimal(value: number): string {
  const text = String(value);
  const parts = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text);
  if (!parts) return text;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = parts;
  const shift = Number(exponent);
  if (shift < 0) return `${sign}0.${'0'.repeat(-shift - 1)}${whole}${fraction}`;
  return `${sign}${whole}${fraction.padEnd(shift, '0')}`;
}
