import { XMLParser } from 'fast-xml-parser';
import { isObject, type Json, type JsonObject, objectAt } from './json.ts';

/** A document as oned describes it and as OneFlow answers it, with the body parsed. */
export interface OwnedDocument extends JsonObject {
  ID: string;
  UID: string;
  GID: string;
  UNAME: string;
  GNAME: string;
  NAME: string;
  TYPE: string;
  PERMISSIONS: JsonObject;
  TEMPLATE: JsonObject & { BODY: JsonObject };
}

const parser = new XMLParser({
  parseTagValue: false,
  trimValues: false,
  ignoreAttributes: true,
  ignoreDeclaration: true,
  maxNestedTags: 100,
});

/** An XML document of oned as an object: elements are texts or objects, repeated ones lists. Its root is left off. */
export function readXml(xml: string): JsonObject {
  const [root] = Object.values(parser.parse(xml) as JsonObject);
  return isObject(root) ? root : {};
}

/** A text element that is empty in XML is empty text; everything that is no text counts as empty too. */
export function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** The one at a place where XML has one element or several. */
export function listOf(value: Json | undefined): Json[] {
  if (value === undefined || value === '') return [];
  return Array.isArray(value) ? value : [value];
}

/** Reads one document. A body that is no JSON object reads as an empty one. */
export function readDocument(xml: string): OwnedDocument {
  return documentOf(readXml(xml));
}

/** Reads a pool of documents. */
export function readPool(xml: string): OwnedDocument[] {
  return listOf(readXml(xml).DOCUMENT).filter(isObject).map(documentOf);
}

function documentOf(element: JsonObject): OwnedDocument {
  return {
    ID: textOf(element.ID),
    UID: textOf(element.UID),
    GID: textOf(element.GID),
    UNAME: textOf(element.UNAME),
    GNAME: textOf(element.GNAME),
    NAME: textOf(element.NAME),
    TYPE: textOf(element.TYPE),
    PERMISSIONS: objectAt(element, 'PERMISSIONS'),
    TEMPLATE: { BODY: bodyOf(textOf(objectAt(element, 'TEMPLATE').BODY)) },
  };
}

function bodyOf(text: string): JsonObject {
  try {
    const body = JSON.parse(text) as Json;
    return isObject(body) ? body : {};
  } catch {
    return {};
  }
}
