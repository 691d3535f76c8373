import * as z from 'zod';
import { parseXml, type XmlElement } from '../xml/parse.ts';
import type { Attributes, AttributeValue } from './attributes.ts';

/** An element as data: a text when it has no children, else its children grouped by name, always in arrays. */
export type XmlNode = string | { [name: string]: XmlNode[] };

/** Reads an XML document of OpenNebula. Throws XmlError. */
export function readDocument(xml: string): { name: string; node: XmlNode } {
  const root = parseXml(xml);
  return { name: root.name, node: toNode(root) };
}

function toNode(element: XmlElement): XmlNode {
  if (element.children.length === 0) return element.text;
  const groups = Object.groupBy(element.children, child => child.name);
  return Object.fromEntries(Object.entries(groups).map(([name, children = []]) => [name, children.map(toNode)]));
}

const node: z.ZodType<XmlNode> = z.lazy(() => z.union([z.string(), z.record(z.string(), z.array(node))]));

/** A text that must be there; of the first element when the name is repeated. */
export const text = z
  .array(z.string())
  .min(1)
  .transform(values => values[0] ?? '');

/** A whole number that must be there. */
export const integer = text.pipe(
  z
    .string()
    .regex(/^-?\d+$/)
    .transform(Number),
);

/** A number that may be missing or empty, as a cut-down document has it; then `fallback`. */
export function integerOr(fallback: number) {
  return z
    .array(z.string())
    .optional()
    .transform(values => (/^-?\d+$/.test(values?.[0] ?? '') ? Number(values?.[0]) : fallback));
}

/** A text that may be missing; then empty. */
export const optionalText = z
  .array(node)
  .optional()
  .transform(values => (typeof values?.[0] === 'string' ? values[0] : ''));

/** A template: a missing or empty element is an empty one. */
export const attributes = z
  .array(node)
  .optional()
  .transform(values => toAttributes(values?.[0] ?? ''));

/** The text elements under a list element, as `CLUSTERS/ID` or `VMS/ID`. */
export function idsOf(name: string) {
  return z
    .array(node)
    .optional()
    .transform(values => {
      const list = values?.[0];
      const ids = typeof list === 'object' ? (list[name] ?? []) : [];
      return ids.filter(id => typeof id === 'string' && /^\d+$/.test(id)).map(Number);
    });
}

function toAttributes(value: XmlNode): Attributes {
  if (typeof value === 'string') return {};
  return Object.fromEntries(Object.entries(value).map(([name, values]) => [name, toAttribute(values)]));
}

function toAttribute(values: XmlNode[]): AttributeValue {
  const items = values.map(value => (typeof value === 'string' ? value : toAttributes(value)));
  const [first, ...others] = items;
  return others.length === 0 ? (first ?? '') : items;
}
