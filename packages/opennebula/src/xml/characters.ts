import { OneFlowerError } from '@oneflower/contract';

/** What XML 1.0 does not allow in a document: NUL and most control characters, lone surrogates, U+FFFE and U+FFFF. */
const NOT_XML = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;
/** Also what oned refuses: its XML-RPC library knows the Basic Multilingual Plane only (fault -503, seen). */
const NOT_ONED = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD]/u;

/** The first character of `text` that an XML document cannot hold, as `U+0000`; undefined when there is none. */
export function findNotXml(text: string): string | undefined {
  return codePointName(NOT_XML.exec(text)?.[0]);
}

/** The first character of `text` that oned refuses, as `U+1F642`; undefined when there is none. */
export function findUnsendable(text: string): string | undefined {
  return codePointName(NOT_ONED.exec(text)?.[0]);
}

/**
 * Refuses text that oned would refuse, before it is sent.
 *
 * @param what names the text in the error, for example "the template". The text itself is never repeated: it may be secret.
 * @throws OneFlowerError `unsendable-character`
 */
export function assertSendable(text: string, what: string): void {
  const found = findUnsendable(text);
  if (!found) return;
  throw new OneFlowerError({
    code: 'unsendable-character',
    message: `${capitalise(what)} holds the character ${found}, which OpenNebula refuses.`,
    reason: 'OpenNebula takes no control characters, no emoji and nothing else beyond U+FFFF.',
    remedy: 'Remove the character, or encode the value as base64.',
    fault: 'user',
    details: { character: found },
  });
}

function codePointName(character: string | undefined): string | undefined {
  const code = character?.codePointAt(0);
  if (code === undefined) return undefined;
  return `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;
}

function capitalise(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
