import { isObject, type Json, type JsonObject } from '../json.ts';
import { Refusal } from '../refusal.ts';
import type { Property, Schema } from './properties.ts';

function refuse(sentence: string): Refusal {
  return new Refusal(400, sentence);
}

/**
 * Checks the keys of a document in the schema's order and puts defaults in on the way (so that an error sentence,
 * which shows the document, shows those set before it). Numeric text becomes a number where a number is wanted.
 *
 * @throws Refusal 400 with the server's sentence for the first key that is missing or wrong
 */
export function checkObject(schema: Schema, document: JsonObject): void {
  for (const [key, property] of Object.entries(schema)) {
    const value = document[key];
    if (value === undefined || value === null) {
      if (property.required) throw missing(key, property, document);
      if (property.default !== undefined) document[key] = property.default;
      continue;
    }
    document[key] = checkValue(key, property, value);
  }
}

function missing(key: string, property: Property, document: JsonObject): Refusal {
  return refuse(`Mandatory document key '${key} (${property.type})' is missing from ${JSON.stringify(document)}`);
}

function checkValue(key: string, property: Property, value: Json): Json {
  switch (property.type) {
    case 'string':
      return checkString(key, property, value);
    case 'integer':
      return checkInteger(key, property, value);
    case 'boolean':
      if (typeof value === 'boolean') return value;
      throw refuse(`KEY: '${key}' is not allowed in {:type=>:boolean, :required=>false};`);
    case 'object':
      if (!isObject(value)) throw refuse(`KEY: '${key}' must be an Hash;`);
      if (property.properties) checkObject(property.properties, value);
      return value;
    case 'array': {
      if (!Array.isArray(value)) throw refuse(`KEY: '${key}' must be an Array;`);
      const { items } = property;
      return items ? value.map(item => checkValue(key, items, item)) : value;
    }
  }
}

function checkString(key: string, property: Property & { type: 'string' }, value: Json): Json {
  if (typeof value !== 'string') throw refuse(`KEY: '${key}' must be a String;`);
  if (property.oneOf && !property.oneOf.includes(value)) {
    throw refuse(`KEY: '${key}' must be one of ${property.oneOf.join(', ')};`);
  }
  if (property.matches && !property.matches.test(value)) {
    throw refuse(`KEY: '${key}' must match regexp ${property.matches};`);
  }
  return value;
}

function checkInteger(key: string, property: Property & { type: 'integer' }, value: Json): Json {
  const number = typeof value === 'string' && /^\s*[-+]?\d+\s*$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(Math.trunc(number))) {
    throw refuse(`KEY: '${key}' must be an Integer;`);
  }
  if (property.minimum !== undefined && number < property.minimum) {
    throw refuse(`KEY: '${key}' must be greater than or equal to ${property.minimum};`);
  }
  return Math.trunc(number);
}
