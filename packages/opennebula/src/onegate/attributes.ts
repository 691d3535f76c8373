import { OneFlowerError } from '@oneflower/contract';
import { assertSendable } from '../xml/characters.ts';

/** What OneGate lets nobody change (403). */
export const RESTRICTED_ATTRIBUTES: readonly string[] = ['SCHED_REQUIREMENTS', 'SERVICE_ID', 'ROLE_NAME'];
/** OneGate refuses a form of more than 4 MiB (500). */
const MAX_FORM_BYTES = 4 * 1024 * 1024;
const NAME = /^[A-Z][A-Z0-9_]*$/;
/** What OneGate's scanner refuses (500 without a reason) or stores changed; seen in 115 recorded bodies. */
const MANGLED: readonly [RegExp, string][] = [
  [/[\r\n]/, 'a line break'],
  [/[,[\]]/, 'a comma or a square bracket'],
  [/["\\]/, 'a double quote or a backslash'],
  [/^\s|\s$/, 'a blank at the start or the end'],
];

/**
 * The form that sets attributes, all in one request, in the order given. An empty value is stored empty.
 *
 * @throws OneFlowerError `onegate-name`, `onegate-value`, `onegate-too-large`, `unsendable-character`
 */
export function encodeAttributes(attributes: Readonly<Record<string, string>>): string {
  const lines = Object.entries(attributes).map(([name, value]) => {
    assertName(name);
    assertValue(name, value);
    return `${name}=${value === '' ? '""' : value}`;
  });
  return encodeForm(lines.join('\n'), 'set');
}

/**
 * The form that erases one attribute; an unknown one is an error of the server (500). Throws `onegate-name`.
 */
export function encodeErasure(name: string): string {
  assertName(name);
  return encodeForm(name, 'erase');
}

/** True when OneGate would store `value` as it is; else it must be encoded, for example as base64. */
export function isPlainValue(value: string): boolean {
  return !MANGLED.some(([pattern]) => pattern.test(value)) && !/[^\t\u0020-\uD7FF\uE000-\uFFFD]/.test(value);
}

const FORM_TYPES = { set: '1', erase: '2' } as const;

function encodeForm(data: string, type: keyof typeof FORM_TYPES): string {
  const form = new URLSearchParams({ data, type: FORM_TYPES[type] }).toString();
  if (form.length <= MAX_FORM_BYTES) return form;
  throw new OneFlowerError({
    code: 'onegate-too-large',
    message: `The attributes make ${form.length} bytes; OneGate takes ${MAX_FORM_BYTES}.`,
    remedy: 'Publish less, or serve it from the machine and publish the address.',
    fault: 'bug',
  });
}

function assertName(name: string): void {
  const restricted = RESTRICTED_ATTRIBUTES.includes(name);
  if (NAME.test(name) && !restricted) return;
  throw new OneFlowerError({
    code: 'onegate-name',
    message: `${JSON.stringify(name)} cannot be the name of an attribute of a machine.`,
    reason: restricted
      ? 'OpenNebula keeps this name for itself.'
      : 'Names are capital letters, digits and underscores.',
    fault: 'bug',
  });
}

function assertValue(name: string, value: string): void {
  const found = MANGLED.find(([pattern]) => pattern.test(value));
  if (found) {
    throw new OneFlowerError({
      code: 'onegate-value',
      message: `The value of ${name} holds ${found[1]}.`,
      reason: 'OneGate refuses such a value or stores it changed.',
      remedy: 'Encode it as base64.',
      fault: 'bug',
      details: { name },
    });
  }
  assertSendable(value, `the value of ${name}`);
}
