import { findNotXml } from './characters.ts';
import { XmlError } from './error.ts';

const PREDEFINED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
const REFERENCE = /&(#x[0-9a-fA-F]{1,6}|#[0-9]{1,7}|[A-Za-z][A-Za-z0-9]*);|&/g;

/**
 * Text of an element with the five predefined entities and character references put in; a carriage return that must
 * survive arrives as `&#x0d;`.
 *
 * @throws XmlError for any other entity and for a bare ampersand
 */
export function decodeEntities(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(REFERENCE, (whole: string, name: string | undefined) => {
    const character = name === undefined ? undefined : characterOf(name);
    if (character === undefined) throw new XmlError('not-well-formed', `the entity ${whole} is not defined`);
    return character;
  });
}

/** Text made safe inside an element, with the same choice of entities as the real server's. */
export function encodeEntities(text: string): string {
  return text.replace(/[&<>\r]/g, character => ENCODED[character] ?? character);
}

const ENCODED: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '\r': '&#x0d;' };

function characterOf(name: string): string | undefined {
  if (!name.startsWith('#')) return Object.hasOwn(PREDEFINED, name) ? PREDEFINED[name] : undefined;
  const code = name.startsWith('#x') ? Number.parseInt(name.slice(2), 16) : Number.parseInt(name.slice(1), 10);
  if (code > 0x10ffff) return undefined;
  const character = String.fromCodePoint(code);
  return findNotXml(character) ? undefined : character;
}
