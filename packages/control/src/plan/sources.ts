import { messageOf, OneFlowerError } from '@oneflower/contract';
import { parseDocument } from 'yaml';

/** Values by the name of their variable, as a person wrote them. */
export type GivenValues = Record<string, string>;

const largestFile = 1024 * 1024;
const name = /^[A-Za-z_][A-Za-z0-9_]*$/;

/**
 * Reads a file of variables: JSON or YAML (one mapping of names to plain values) or `NAME=VALUE` lines, told apart
 * by content. Booleans become YES and NO.
 * @throws OneFlowerError `variables-file` with the line where it is known.
 */
export function readVariablesFile(text: string, file: string): GivenValues {
  if (text.length > largestFile) throw unreadable(file, `it has more than ${largestFile} characters`);
  const lines = text.split(/\r?\n/);
  const meaningful = lines.filter(line => line.trim() !== '' && !line.trimStart().startsWith('#'));
  if (meaningful.length === 0) return {};
  return /^\s*(?:export\s+)?[A-Za-z_]\w*\s*=/.test(meaningful[0] ?? '')
    ? readAssignments(lines, file)
    : readMapping(text, file);
}

/**
 * Reads `NAME=VALUE` arguments; of a name that comes twice the last one counts.
 * @throws OneFlowerError `assignment-invalid`.
 */
export function readAssignmentArguments(assignments: readonly string[]): GivenValues {
  const values: GivenValues = {};
  for (const assignment of assignments) {
    const at = assignment.indexOf('=');
    const key = assignment.slice(0, at).trim();
    if (at < 1 || !name.test(key)) {
      throw new OneFlowerError({
        code: 'assignment-invalid',
        message: `${JSON.stringify(shorten(assignment))} is not NAME=VALUE.`,
        remedy: 'Write for example --set FL_NUM_ROUNDS=5.',
        fault: 'user',
      });
    }
    values[key] = assignment.slice(at + 1);
  }
  return values;
}

function readAssignments(lines: readonly string[], file: string): GivenValues {
  const values: GivenValues = {};
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
    const match = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line);
    if (!match?.[1]) throw unreadable(file, `line ${index + 1} is not NAME=VALUE`);
    values[match[1]] = unquote(match[2] ?? '');
  }
  return values;
}

function unquote(value: string): string {
  return /^(["']).*\1$/.test(value) && value.length > 1 ? value.slice(1, -1) : value;
}

function readMapping(text: string, file: string): GivenValues {
  let content: unknown;
  try {
    const document = parseDocument(text, { prettyErrors: true, uniqueKeys: true });
    const error = document.errors[0];
    if (error) throw error;
    content = document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    throw unreadable(file, firstLine(messageOf(error)));
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw unreadable(file, 'it is neither a mapping of names to values nor NAME=VALUE lines');
  }
  return Object.fromEntries(Object.entries(content).map(([key, value]) => [key, plain(key, value, file)]));
}

function plain(key: string, value: unknown, file: string): string {
  if (value === null) return '';
  if (typeof value === 'boolean') return value ? 'YES' : 'NO';
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  throw unreadable(file, `${key} holds a list or a mapping where a plain value belongs`);
}

function unreadable(file: string, why: string): OneFlowerError {
  return new OneFlowerError({
    code: 'variables-file',
    message: `The variables in ${file} cannot be read: ${why}.`,
    remedy: 'Write one NAME: VALUE a line (YAML), a JSON object, or NAME=VALUE lines.',
    fault: 'user',
  });
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').replace(/[:.]$/, '');
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
