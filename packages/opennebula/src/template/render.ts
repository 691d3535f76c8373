import { OneFlowerError } from '@oneflower/contract';
import { assertSendable } from '../xml/characters.ts';

/** A value of a template: booleans are written YES and NO, as OpenNebula reads them. */
export type TemplateScalar = string | number | boolean;
/** `NAME = [ KEY = "value" ]`; vectors do not nest. */
export interface TemplateVector {
  [name: string]: TemplateScalar;
}
export type TemplateItem = TemplateScalar | TemplateVector;
/** A template as data. An array stands for a repeated name, as several NICs or disks. */
export interface Template {
  [name: string]: TemplateItem | readonly TemplateItem[];
}

/** oned refuses names with `-` or `.` and puts `ONE_` before a digit. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** oned refuses a text over 10 MB ("XML Template malformed"); 8 MB passes. */
export const MAX_TEMPLATE_BYTES = 8 * 1024 * 1024;

/**
 * OpenNebula's own text form of a template: one attribute a line, all values in quotes.
 *
 * @throws OneFlowerError `template-name`, `template-value`, `template-too-large`, `unsendable-character`
 */
export function renderTemplate(template: Template): string {
  const lines = Object.entries(template).flatMap(([name, value]) =>
    (isRepeated(value) ? value : [value]).map(item => renderAttribute(name, item)),
  );
  const text = lines.join('\n');
  if (Buffer.byteLength(text) <= MAX_TEMPLATE_BYTES) return text;
  throw new OneFlowerError({
    code: 'template-too-large',
    message: `The template has ${Buffer.byteLength(text)} bytes.`,
    reason: 'OpenNebula refuses templates of more than 10 MB.',
    remedy: `Keep it below ${MAX_TEMPLATE_BYTES} bytes.`,
    fault: 'user',
  });
}

function isRepeated(value: TemplateItem | readonly TemplateItem[]): value is readonly TemplateItem[] {
  return Array.isArray(value);
}

function renderAttribute(name: string, item: TemplateItem): string {
  assertName(name);
  if (typeof item !== 'object') return `${name.toUpperCase()} = ${quote(name, item)}`;
  const pairs = Object.entries(item).map(([key, value]) => {
    assertName(key);
    return `${key.toUpperCase()} = ${quote(key, value)}`;
  });
  if (pairs.length === 0) throw badValue(name, 'an empty vector cannot be written');
  return `${name.toUpperCase()} = [ ${pairs.join(', ')} ]`;
}

/**
 * In quotes only `\"` is an escape; every other backslash stands for itself. So a backslash in front of a quote, or at
 * the end, cannot be told from an escape and is refused.
 */
function quote(name: string, value: TemplateScalar): string {
  const text = scalarText(value);
  assertSendable(text, `the value of ${name}`);
  if (text.includes(']]>')) throw badValue(name, 'it holds "]]>", which OpenNebula cannot store');
  if (/\\(?:"|$)/.test(text)) throw badValue(name, 'a backslash stands before a quote or at its end');
  return `"${text.replaceAll('"', '\\"')}"`;
}

function scalarText(value: TemplateScalar): string {
  if (typeof value === 'boolean') return value ? 'YES' : 'NO';
  return String(value);
}

function assertName(name: string): void {
  if (NAME.test(name)) return;
  throw new OneFlowerError({
    code: 'template-name',
    message: `${JSON.stringify(name)} is no name of a template attribute.`,
    reason: 'A name is made of letters, digits and underscores and does not start with a digit.',
    remedy: 'Rename the attribute.',
    fault: 'user',
  });
}

function badValue(name: string, why: string): OneFlowerError {
  return new OneFlowerError({
    code: 'template-value',
    message: `The value of ${name} cannot be written into a template: ${why}.`,
    remedy: 'Change the value, or encode it as base64.',
    fault: 'user',
    details: { name },
  });
}
