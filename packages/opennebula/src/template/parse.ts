import { messageOf, OneFlowerError } from '@oneflower/contract';
import * as z from 'zod';
import { readDocument, type XmlNode } from './fields.ts';

/**
 * Reads one document, as `<VM>`.
 *
 * @throws OneFlowerError `document-unreadable`
 */
export function parseDocument<Schema extends z.ZodType>(name: string, schema: Schema, xml: string): z.infer<Schema> {
  return decode(schema, rootOf(name, xml), name);
}

/** Reads a pool, as `<VM_POOL>` of `<VM>`: an array whether it holds none, one or many. Throws as {@link parseDocument}. */
export function parsePool<Schema extends z.ZodType>(
  names: { pool: string; item: string },
  schema: Schema,
  xml: string,
): z.infer<Schema>[] {
  const pool = rootOf(names.pool, xml);
  const items = typeof pool === 'object' ? (pool[names.item] ?? []) : [];
  return items.map(item => decode(schema, item, names.item));
}

function rootOf(name: string, xml: string): XmlNode {
  const document = read(name, xml);
  if (document.name === name) return document.node;
  throw unreadable(name, `it is a <${document.name}>`);
}

function read(name: string, xml: string): { name: string; node: XmlNode } {
  try {
    return readDocument(xml);
  } catch (error) {
    throw unreadable(name, messageOf(error), error);
  }
}

function decode<Schema extends z.ZodType>(schema: Schema, node: XmlNode, name: string): z.infer<Schema> {
  const result = schema.safeParse(node);
  if (result.success) return result.data;
  throw unreadable(name, z.prettifyError(result.error).replace(/\s+/g, ' '), result.error);
}

function unreadable(name: string, why: string, cause?: unknown): OneFlowerError {
  return new OneFlowerError({
    code: 'document-unreadable',
    message: `The <${name}> document of OpenNebula cannot be read: ${why}.`,
    reason: 'The server is of an unknown version, or the answer was changed on its way.',
    remedy: 'Check the version of OpenNebula; 7.x is supported.',
    cause,
  });
}
