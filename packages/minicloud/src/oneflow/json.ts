/** Any JSON value. Key order is kept, because the real server answers in the order in which keys came to be. */
export type Json = null | boolean | number | string | Json[] | JsonObject;
export interface JsonObject {
  [key: string]: Json;
}

/** True for a JSON object, false for arrays, null and scalars. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object at `key`, or an empty one when there is none. */
export function objectAt(holder: JsonObject, key: string): JsonObject {
  const value = holder[key];
  return isObject(value) ? value : {};
}

/** The array at `key`, or an empty one when there is none. */
export function arrayAt(holder: JsonObject, key: string): Json[] {
  const value = holder[key];
  return Array.isArray(value) ? value : [];
}

/** The text at `key`; numbers count as their digits. */
export function textAt(holder: JsonObject, key: string): string | undefined {
  const value = holder[key];
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : undefined;
}

/** The number at `key`; numeric text counts. */
export function numberAt(holder: JsonObject, key: string): number | undefined {
  const value = holder[key];
  if (typeof value === 'number') return value;
  if (typeof value === 'string' && /^\s*-?\d+\s*$/.test(value)) return Number(value);
  return undefined;
}

/** A copy that shares nothing with the original. */
export function cloneJson<T extends Json>(value: T): T {
  return structuredClone(value);
}

/** `over` laid on `base`: objects merge key by key, everything else (arrays too) is replaced. Neither is changed. */
export function deepMerge(base: JsonObject, over: JsonObject): JsonObject {
  const merged = cloneJson(base);
  for (const [key, value] of Object.entries(over)) {
    const before = merged[key];
    merged[key] = isObject(before) && isObject(value) ? deepMerge(before, value) : cloneJson(value);
  }
  return merged;
}

/**
 * JSON as the recorded server prints it: two blanks a level, and empty arrays and objects spread over lines
 * (`[`, empty line, `]` and `{`, `}`).
 */
export function prettyJson(value: Json, indent = ''): string {
  const inner = `${indent}  `;
  if (Array.isArray(value)) {
    if (value.length === 0) return `[\n\n${indent}]`;
    return `[\n${value.map(item => inner + prettyJson(item, inner)).join(',\n')}\n${indent}]`;
  }
  if (isObject(value)) {
    const entries = Object.entries(value);
    if (entries.length === 0) return `{\n${indent}}`;
    const lines = entries.map(([key, item]) => `${inner}${JSON.stringify(key)}: ${prettyJson(item, inner)}`);
    return `{\n${lines.join(',\n')}\n${indent}}`;
  }
  return JSON.stringify(value);
}
