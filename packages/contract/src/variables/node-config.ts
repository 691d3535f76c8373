import { largestPartition } from '../site-protocol.ts';

export type NodeConfigValue = string | number | boolean;

const pair =
  /\s*([A-Za-z0-9_.-]+)=("[^"\n\\]*"|'[^'\n\\]*'|true|false|[+-]?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?=\s|$)/y;
const wholeNumber = /^(0|[1-9]\d*)$/;

/**
 * Reads what flower-supernode's `--node-config` takes: `key=value` pairs separated by blanks, values as in TOML.
 * Undefined when any part is not such a pair or a key comes twice.
 */
export function parseNodeConfig(text: string): Record<string, NodeConfigValue> | undefined {
  const literals = readLiterals(text);
  return literals && Object.fromEntries(Object.entries(literals).map(([key, literal]) => [key, readLiteral(literal)]));
}

/**
 * What the keys of a partition must be, worded to follow "must"; undefined when they are that. They are whole numbers
 * also as they are written: `1.0` is another type to Flower.
 */
export function partitionRule(text: string): string | undefined {
  const { 'partition-id': id, 'num-partitions': of } = readLiterals(text) ?? {};
  if (id === undefined) return of === undefined ? undefined : 'give num-partitions only together with partition-id';
  if (!wholeNumber.test(id) || Number(id) > largestPartition)
    return `give partition-id as a whole number from 0 to ${largestPartition}`;
  if (of === undefined || (wholeNumber.test(of) && Number(of) > Number(id) && Number.isSafeInteger(Number(of))))
    return undefined;
  return 'give num-partitions as a whole number above partition-id';
}

/** The values by key, as they are written. */
function readLiterals(text: string): Record<string, string> | undefined {
  const literals: Record<string, string> = {};
  const trimmed = text.trim();
  pair.lastIndex = 0;
  while (pair.lastIndex < trimmed.length) {
    const match = pair.exec(trimmed);
    const key = match?.[1];
    const literal = match?.[2];
    if (key === undefined || literal === undefined || Object.hasOwn(literals, key)) return undefined;
    literals[key] = literal;
  }
  return literals;
}

function readLiteral(literal: string): NodeConfigValue {
  if (literal === 'true' || literal === 'false') return literal === 'true';
  if (literal.startsWith('"') || literal.startsWith("'")) return literal.slice(1, -1);
  return Number(literal);
}
