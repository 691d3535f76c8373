import { messageOf } from '@oneflower/contract';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { findNotXml } from './characters.ts';
import { decodeEntities } from './entities.ts';
import { XmlError } from './error.ts';

/** One element: its own text (character data and CDATA, decoded, blanks kept) and its child elements in order. */
export interface XmlElement {
  name: string;
  text: string;
  children: XmlElement[];
}

/** Characters of one document. oned refuses texts over 10 MB; a pool of thousands of machines is larger. */
export const MAX_XML_LENGTH = 64 * 1024 * 1024;
/** OpenNebula nests about ten levels. */
const MAX_DEPTH = 100;

const TEXT = '#text';
const CDATA = '#cdata';
const OPTIONS = {
  preserveOrder: true,
  trimValues: false,
  parseTagValue: false,
  processEntities: false,
  ignoreAttributes: true,
  ignoreDeclaration: true,
  ignorePiTags: true,
  cdataPropName: CDATA,
  textNodeName: TEXT,
  maxNestedTags: MAX_DEPTH,
} as const;
const parser = new XMLParser(OPTIONS);
/** Takes the content of `<string>` in one piece: an answer is mostly one string of some MB. */
const parserOfStrings = new XMLParser({ ...OPTIONS, stopNodes: ['..string'] });

/**
 * Reads one XML document. Attributes are dropped (OpenNebula uses none), DOCTYPE is refused, so no entity can be
 * declared and none expands.
 *
 * @throws XmlError with kind `too-large`, `not-well-formed` or `doctype`
 */
export function parseXml(xml: string): XmlElement {
  if (xml.length > MAX_XML_LENGTH) throw new XmlError('too-large', `more than ${MAX_XML_LENGTH} characters`);
  const stray = findNotXml(xml);
  if (stray) throw new XmlError('not-well-formed', `the character ${stray} is not allowed in XML`);
  if (declaresDoctype(xml)) throw new XmlError('doctype', 'a DOCTYPE is not accepted');
  const roots = parseNodes(xml).flatMap(toElement);
  const [root] = roots;
  if (!root || roots.length > 1) throw new XmlError('not-well-formed', 'exactly one root element is expected');
  return root;
}

/** The first child element of that name. */
export function childOf(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find(child => child.name === name);
}

function parseNodes(xml: string): unknown[] {
  const verdict = XMLValidator.validate(xml.replace(/^\uFEFF/, '').trimStart());
  if (verdict !== true) throw new XmlError('not-well-formed', verdict.err.msg);
  try {
    const nodes: unknown = (xml.includes('<!') ? parser : parserOfStrings).parse(xml);
    return Array.isArray(nodes) ? nodes : [];
  } catch (error) {
    throw new XmlError('not-well-formed', messageOf(error));
  }
}

function declaresDoctype(xml: string): boolean {
  if (!/<!doctype/i.test(xml)) return false;
  return /<!doctype/i.test(xml.replace(/<!\[CDATA\[[\s\S]*?\]\]>/g, '').replace(/<!--[\s\S]*?-->/g, ''));
}

/** A node of the parser's ordered form is an object with one key: the tag name, `#text` or `#cdata`. */
function toElement(node: unknown): XmlElement[] {
  const [name, content] = entryOf(node);
  if (name === undefined || name === TEXT || name === CDATA || !Array.isArray(content)) return [];
  let text = '';
  const children: XmlElement[] = [];
  for (const child of content) {
    const [key, value] = entryOf(child);
    if (key === TEXT) text += decodeText(String(value));
    else if (key === CDATA) text += rawText(value);
    else children.push(...toElement(child));
  }
  return [{ name, text, children }];
}

/** Elements inside a `<string>` that was taken in one piece show up here. */
function decodeText(raw: string): string {
  if (raw.includes('<')) throw new XmlError('not-well-formed', 'a string holds elements');
  return decodeEntities(raw);
}

function rawText(content: unknown): string {
  if (!Array.isArray(content)) return '';
  return content.map(node => String(entryOf(node)[1] ?? '')).join('');
}

function entryOf(node: unknown): [string, unknown] | [undefined, undefined] {
  if (typeof node !== 'object' || node === null) return [undefined, undefined];
  return Object.entries(node)[0] ?? [undefined, undefined];
}
