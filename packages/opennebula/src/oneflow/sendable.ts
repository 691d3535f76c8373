import { OneFlowerError } from '@oneflower/contract';
import { assertSendable } from '../xml/characters.ts';

/**
 * The JSON body of a request. OneFlow keeps bodies in XML: `]]>` and characters beyond U+FFFF anywhere make it fail
 * with 500, and control characters make a document that cannot be read again.
 *
 * @throws OneFlowerError `unsendable-character`, `oneflow-value`
 */
export function encodeBody(body: unknown): string {
  return JSON.stringify(body, (key, value: unknown) => {
    assertText(key, 'a key');
    if (typeof value === 'string') assertText(value, `the value of ${key}`);
    return value;
  });
}

function assertText(text: string, what: string): void {
  assertSendable(text, what);
  if (!text.includes(']]>')) return;
  throw new OneFlowerError({
    code: 'oneflow-value',
    message: `OneFlow cannot store "]]>", which ${what} holds.`,
    remedy: 'Change the value, or encode it as base64.',
    fault: 'user',
  });
}
