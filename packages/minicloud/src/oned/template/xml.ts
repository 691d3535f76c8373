import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { hasNonBmp, hasNotXml } from '../characters.ts';
import { type Attribute, attributeName, type Template } from './attributes.ts';

/** What the parser gives with `preserveOrder`: `{NAME: [children]}`, `{#text: '...'}` or `{#cdata: [...]}`. */
type Node = Record<string, unknown>;

const parser = new XMLParser({
  preserveOrder: true,
  ignoreAttributes: true,
  parseTagValue: false,
  trimValues: false,
  processEntities: false,
  cdataPropName: '#cdata',
});

function children(node: Node, name: string): Node[] {
  const value = node[name];
  return Array.isArray(value) ? (value as Node[]) : [];
}

function elementName(node: Node): string | undefined {
  return Object.keys(node).find(key => key !== ':@' && key !== '#text' && key !== '#cdata' && !key.startsWith('?'));
}

function plainTextOf(nodes: Node[]): string {
  return nodes.map(node => (typeof node['#text'] === 'string' ? node['#text'] : '')).join('');
}

/** The text of an element: references stand for characters, but not in a CDATA section. */
function textOf(nodes: Node[]): string {
  let text = '';
  for (const node of nodes) {
    if (typeof node['#text'] === 'string') text += decodeEntities(node['#text']);
    else text += plainTextOf(children(node, '#cdata'));
  }
  return text;
}

const named: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

/** What a reference beyond Unicode stands for: XML forbids it, as it forbids that reference. */
const notACharacter = '\uFFFF';

function decodeEntities(text: string): string {
  return text.replace(/&(#x[0-9a-fA-F]+|#\d+|\w+);/g, (whole, name: string) => {
    if (!name.startsWith('#')) return named[name] ?? whole;
    const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code <= 0x10ffff ? String.fromCodePoint(code) : notACharacter;
  });
}

/** An end mark outside every CDATA section, which XML forbids and the validator overlooks. */
function hasStrayCdataEnd(text: string): boolean {
  return text.replace(/<!\[CDATA\[[\s\S]*?\]\]>/g, '').includes(']]>');
}

function readElement(name: string, nodes: Node[]): Attribute {
  const inner = nodes.filter(node => elementName(node) !== undefined);
  if (inner.length === 0) return { name: attributeName(name), value: textOf(nodes) };
  const pairs: Record<string, string> = {};
  for (const node of inner) {
    const key = elementName(node) ?? '';
    pairs[attributeName(key)] = textOf(children(node, key));
  }
  return { name: attributeName(name), value: pairs };
}

/** `<!` that opens neither a comment nor a CDATA section; the validator lets some of them pass. */
function strayDeclaration(text: string): boolean {
  return text.includes('<!') && /<!/.test(text.replace(/<!\[CDATA\[[\s\S]*?\]\]>|<!--[\s\S]*?-->/g, ''));
}

/** The nodes of a text; none when the parser refuses it: elements nested too deep, or named like a part of every object. */
function parseNodes(text: string): Node[] {
  try {
    return parser.parse(text) as Node[];
  } catch {
    return [];
  }
}

/** References are decoded by now: what they stand for must be there on the wire too. */
function isStorable({ value }: Attribute): boolean {
  const texts = typeof value === 'string' ? [value] : Object.values(value);
  return !texts.some(text => hasNotXml(text) || hasNonBmp(text));
}

/**
 * Reads a template given as XML, whatever its root is called; undefined when it is not well formed, or when it holds
 * a character that oned could not give back.
 */
export function parseXmlTemplate(text: string): Template | undefined {
  if (hasStrayCdataEnd(text) || strayDeclaration(text) || XMLValidator.validate(text.trim()) !== true) return undefined;
  const roots = parseNodes(text).filter(node => elementName(node) !== undefined);
  const root = roots[0];
  if (!root || roots.length !== 1) return undefined;
  const nodes = children(root, elementName(root) ?? '');
  const template = nodes
    .filter(node => elementName(node) !== undefined)
    .map(node => {
      const name = elementName(node) ?? '';
      return readElement(name, children(node, name));
    });
  return template.every(isStorable) ? template : undefined;
}
