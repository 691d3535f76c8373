const rules: [RegExp, string][] = [
  // Seconds since the epoch: nothing else in the recordings is a ten-digit number that starts with 17 or 18.
  [/\b1[78]\d{8}\b/g, 'TIME'],
  // oned's own date form at the start of ERROR and SCHED_MESSAGE, and the HTTP Date header.
  [/\b[A-Z][a-z]{2} [A-Z][a-z]{2} {1,2}\d{1,2} \d\d:\d\d:\d\d \d{4}\b/g, 'DATE'],
  [/\b[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d (?:UTC|GMT)/g, 'DATE'],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, 'UUID'],
  // Login tokens, password hashes and TOKEN_PASSWORD.
  [/\b[0-9a-f]{64}\b/g, 'HASH'],
  [/<REQUEST_ID>\d+<\/REQUEST_ID>/g, '<REQUEST_ID>REQ</REQUEST_ID>'],
  [/<REQ_ID>\d+<\/REQ_ID>/g, '<REQ_ID>REQ</REQ_ID>'],
  // oned prints line numbers from memory it never set.
  [/at line -?\d+, columns -?\d+:-?\d+/g, 'at line N, columns N:N'],
];

/** The same document written with `<A></A>` or `<A/>`: equal XML, and oned uses both. */
const emptyElement = /<([A-Z][A-Z0-9_]*)><\/\1>/g;

/**
 * Blanks out what differs between two runs of the same server: times, dates, tokens, uuids and request numbers. Ids
 * stay: the replays keep them equal.
 */
export function normalise(text: string): string {
  let result = text;
  for (const [pattern, blank] of rules) result = result.replace(pattern, blank);
  return result.replace(emptyElement, '<$1/>');
}

const values: Record<string, string> = { '&lt;': '<', '&gt;': '>', '&quot;': '"', '&apos;': "'", '&amp;': '&' };

/** The text of an XML-RPC string as it is inside the envelope. */
export function unescapeXml(text: string): string {
  return text.replace(/&(?:lt|gt|quot|apos|amp);/g, entity => values[entity] ?? entity);
}
