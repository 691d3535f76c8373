import { OneFlowerError } from '@oneflower/contract';
import { findUnsendable } from '../xml/characters.ts';
import { XmlError } from '../xml/error.ts';
import { childOf, parseXml, type XmlElement } from '../xml/parse.ts';
import type { XmlRpcCall, XmlRpcResponse, XmlRpcValue } from './value.ts';

/**
 * A request, as a server reads it.
 *
 * @throws OneFlowerError `xmlrpc-malformed` (no XML, or no call), `xmlrpc-character` (beyond U+FFFF), `xmlrpc-too-large`
 */
export function decodeCall(xml: string): XmlRpcCall {
  const root = readRoot(xml, 'methodCall');
  const method = need(root, 'methodName').text.trim();
  if (method === '') throw malformed('the method name is empty');
  const params = childOf(root, 'params');
  return { method, params: params ? decodeParams(params) : [] };
}

/** An answer, as a client reads it. Throws as {@link decodeCall}. */
export function decodeResponse(xml: string): XmlRpcResponse {
  const root = readRoot(xml, 'methodResponse');
  const fault = childOf(root, 'fault');
  if (fault) return { fault: decodeFault(decodeValue(need(fault, 'value'))) };
  const [value, ...others] = decodeParams(need(root, 'params'));
  if (value === undefined || others.length > 0) throw malformed('exactly one value is expected in an answer');
  return { value };
}

function readRoot(xml: string, name: string): XmlElement {
  const root = readXml(xml);
  if (root.name !== name) throw malformed(`the document is a <${root.name}>, not a <${name}>`);
  return root;
}

function readXml(xml: string): XmlElement {
  try {
    return parseXml(xml);
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    throw malformed(error.message, error.kind === 'too-large' ? 'xmlrpc-too-large' : 'xmlrpc-malformed', error);
  }
}

function decodeParams(params: XmlElement): XmlRpcValue[] {
  return params.children.map(param => {
    if (param.name !== 'param') throw malformed(`<${param.name}> stands where <param> is expected`);
    return decodeValue(need(param, 'value'));
  });
}

function decodeFault(value: XmlRpcValue): { code: number; message: string } {
  if (typeof value === 'object' && !Array.isArray(value)) {
    const { faultCode: code, faultString: message } = value;
    if (typeof code === 'number' && typeof message === 'string') return { code, message };
  }
  throw malformed('a fault needs faultCode and faultString');
}

function decodeValue(value: XmlElement): XmlRpcValue {
  const [typed, ...others] = value.children;
  if (!typed) return text(value.text);
  if (others.length > 0 || value.text.trim() !== '') throw malformed('a value holds more than one thing');
  switch (typed.name) {
    case 'string':
      return text(leafText(typed));
    case 'i4':
    case 'int':
      return integer(leafText(typed), 2 ** 31);
    case 'i8':
      return integer(leafText(typed), Number.MAX_SAFE_INTEGER + 1);
    case 'double':
      return double(leafText(typed));
    case 'boolean':
      return boolean(leafText(typed));
    case 'array':
      return need(typed, 'data').children.map(arrayItem);
    case 'struct':
      return Object.fromEntries(typed.children.map(structMember));
    default:
      throw malformed(`the type <${typed.name}> is not supported`);
  }
}

function arrayItem(item: XmlElement): XmlRpcValue {
  if (item.name !== 'value') throw malformed(`<${item.name}> stands where <value> is expected`);
  return decodeValue(item);
}

function structMember(member: XmlElement): [string, XmlRpcValue] {
  if (member.name !== 'member') throw malformed(`<${member.name}> stands where <member> is expected`);
  return [text(leafText(need(member, 'name'))), decodeValue(need(member, 'value'))];
}

function leafText(element: XmlElement): string {
  if (element.children.length > 0) throw malformed(`<${element.name}> holds elements`);
  return element.text;
}

function text(value: string): string {
  const found = findUnsendable(value);
  if (found) throw malformed(`the character ${found} is not accepted`, 'xmlrpc-character');
  return value;
}

function integer(value: string, limit: number): number {
  const number = /^[+-]?\d+$/.test(value.trim()) ? Number(value) : Number.NaN;
  if (!(number >= -limit && number < limit)) throw malformed('an integer is no number or too large');
  return number + 0;
}

function double(value: string): number {
  const number = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(value.trim()) ? Number(value) : Number.NaN;
  if (!Number.isFinite(number)) throw malformed('a double is no number');
  return number;
}

function boolean(value: string): boolean {
  const trimmed = value.trim();
  if (trimmed !== '0' && trimmed !== '1') throw malformed('a boolean is neither 0 nor 1');
  return trimmed === '1';
}

function need(element: XmlElement, name: string): XmlElement {
  const child = childOf(element, name);
  if (!child) throw malformed(`<${element.name}> has no <${name}>`);
  return child;
}

function malformed(why: string, code = 'xmlrpc-malformed', cause?: unknown): OneFlowerError {
  return new OneFlowerError({
    code,
    message: `The document is no XML-RPC: ${why}.`,
    reason: 'The other side is not OpenNebula, or something in between changed or cut the message.',
    remedy: 'Check the endpoint (ONE_XMLRPC) and any proxy in between.',
    cause,
    details: { why },
  });
}
