/** A character that XML forbids, or half of a pair. */
const notXml = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;
/** A character that oned's XML-RPC library does not know. */
const beyondBmp = /[\u{10000}-\u{10FFFF}]/u;

/** Whether a text holds a character that no XML document can hold. */
export function hasNotXml(text: string): boolean {
  return notXml.test(text);
}

/** Whether a text holds a character beyond U+FFFF, which oned neither takes nor gives. */
export function hasNonBmp(text: string): boolean {
  return beyondBmp.test(text);
}

function firstByte(text: string): string {
  const character = beyondBmp.exec(text)?.[0] ?? '';
  return (Buffer.from(character, 'utf8')[0] ?? 0).toString(16).padStart(8, 'f');
}

/** The library's refusal of a text with a character beyond U+FFFF. */
export function nonBmpReason(text: string): string {
  return `${Buffer.byteLength(text)}-byte supposed UTF-8 string is not valid UTF-8.  UTF-8 string contains a character not in the Basic Multilingual Plane (first byte 0x${firstByte(text)})`;
}
