export type NodeConfigValue = string | number | boolean;

const pair = /\s*([A-Za-z0-9_.-]+)=("[^"\n\\]*"|'[^'\n\\]*'|true|false|[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?=\s|$)/y;

/**
 * Reads what flower-supernode's `--node-config` takes: `key=value` pairs separated by blanks, values as in TOML.
 * Undefined when any part is not such a pair or a key comes twice.
 */
export function parseNodeConfig(text: string): Record<string, NodeConfigValue> | undefined {
  const config: Record<string, NodeConfigValue> = {};
  const trimmed = text.trim();
  pair.lastIndex = 0;
  while (pair.lastIndex < trimmed.length) {
    const match = pair.exec(trimmed);
    const key = match?.[1];
    const literal = match?.[2];
    if (key === undefined || literal === undefined || Object.hasOwn(config, key)) return undefined;
    config[key] = readLiteral(literal);
  }
  return config;
}

function readLiteral(literal: string): NodeConfigValue {
  if (literal === 'true' || literal === 'false') return literal === 'true';
  if (literal.startsWith('"') || literal.startsWith("'")) return literal.slice(1, -1);
  return Number(literal);
}
