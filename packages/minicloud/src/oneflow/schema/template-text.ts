import { isObject, type Json, type JsonObject } from '../json.ts';

/** Attributes of which a VM has many: always lists, also when there is one. */
const listed = new Set(['NIC', 'NIC_ALIAS', 'DISK', 'PCI', 'SCHED_ACTION', 'INPUT']);

const pair = /\s*([A-Za-z_][\w]*)\s*=\s*(?:\[([^\]]*)\]|"((?:\\"|[^"])*)"|([^\n]*))/y;
const member = /\s*([A-Za-z_][\w]*)\s*=\s*(?:"((?:\\"|[^"])*)"|([^,\s]*))\s*,?/y;

/**
 * Reads KEY=VALUE text (`NIC = [ NETWORK_ID = "1" ]`) into an object; what cannot be read ends the reading, as the
 * guest would never see it. Repeated keys become lists.
 */
export function parseTemplateText(text: string): JsonObject {
  const parsed: JsonObject = {};
  for (const [, key = '', vector, quoted, bare] of text.matchAll(stickyAll(pair))) {
    add(parsed, key.toUpperCase(), vector === undefined ? plainText(quoted, bare) : parseVector(vector));
  }
  return parsed;
}

/** Writes an object as KEY=VALUE text; objects become vectors, lists repeat their key, and null is left out. */
export function templateText(template: JsonObject): string {
  const lines: string[] = [];
  for (const [key, value] of Object.entries(template)) {
    const items = Array.isArray(value) ? value : [value];
    for (const item of items) if (item !== null) lines.push(`${key} = ${attributeText(item)}`);
  }
  return lines.join('\n');
}

function attributeText(value: Json): string {
  if (!isObject(value)) return quote(value);
  const given = Object.entries(value).filter(([, item]) => item !== null);
  const members = given.map(([key, item]) => `${key} = ${quote(item)}`);
  return `[ ${members.join(', ')} ]`;
}

/** In quotes only the quote itself is escaped; a backslash stays as it is. */
function quote(value: Json): string {
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  return `"${text.replaceAll('"', '\\"')}"`;
}

function parseVector(text: string): JsonObject {
  const parsed: JsonObject = {};
  for (const [, key = '', quoted, bare] of text.matchAll(stickyAll(member))) {
    parsed[key.toUpperCase()] = plainText(quoted, bare);
  }
  return parsed;
}

function plainText(quoted: string | undefined, bare: string | undefined): string {
  return quoted === undefined ? (bare ?? '').trim() : quoted.replaceAll('\\"', '"');
}

function add(parsed: JsonObject, key: string, value: Json): void {
  const before = parsed[key];
  if (Array.isArray(before)) before.push(value);
  else if (before !== undefined) parsed[key] = [before, value];
  else parsed[key] = listed.has(key) ? [value] : value;
}

function stickyAll(pattern: RegExp): RegExp {
  return new RegExp(pattern.source, 'gy');
}
