import { knownReleases, profileOf } from '../flower-profiles.ts';
import { parseHostPort } from './addresses.ts';
import { parseNodeConfig } from './node-config.ts';
import { readCertificates, readPem } from './pem.ts';
import type { Variable, VariableKind } from './types.ts';

export type ParsedValue = string | number | boolean;

/** A value that was read, or the rule that it breaks, worded to follow "must". */
export type ParseResult = { ok: true; value: ParsedValue } | { ok: false; rule: string };

/** Longest value in characters that is read at all; a certificate chain is some thousands. */
export const longestValue = 65_536;

/** The rule of a kind, worded to follow "must". */
export function ruleOf(kind: VariableKind): string {
  switch (kind.type) {
    case 'integer':
      return `be a whole number from ${kind.min} to ${kind.max}`;
    case 'number':
      return `be a number ${describeLimits(kind)}`;
    case 'boolean':
      return 'be YES or NO';
    case 'list':
      return `be one of ${kind.options.join(', ')}`;
    case 'version':
      return `be a Flower release from ${knownReleases()}, such as 1.41.0`;
    case 'address':
      return 'be HOST:PORT, such as 10.0.0.5:9092 or [fd00::5]:9092';
    case 'certificate':
      return 'be a certificate in PEM, or base64 of one';
    case 'private-key':
      return 'be a private key in PEM without a passphrase, or base64 of one';
    case 'certificate-names':
      return 'be IP:ADDRESS or DNS:NAME entries separated by commas';
    case 'node-config':
      return 'be KEY=VALUE pairs separated by blanks, strings in double quotes, each key once';
    case 'path':
      return "be an absolute path without '..'";
    case 'database':
      return 'be state/NAME.db: only in the folder state can Flower make files';
    case 'token':
      return 'be 16 to 256 letters, digits, dashes or underscores';
    case 'sha256':
      return 'be 64 hexadecimal digits';
    case 'text':
      return 'be printable text';
  }
}

/** Reads a non-empty value of a variable. */
export function parseValue(variable: Variable, text: string): ParseResult {
  if (text.length > longestValue) return { ok: false, rule: `be at most ${longestValue} characters long` };
  if (hasForbiddenCharacters(text, variable.kind)) return { ok: false, rule: 'hold no control characters' };
  const value = read(variable.kind, text);
  return value === undefined ? { ok: false, rule: ruleOf(variable.kind) } : { ok: true, value };
}

function hasForbiddenCharacters(text: string, kind: VariableKind): boolean {
  const manyLines = kind.type === 'certificate' || kind.type === 'private-key' || kind.type === 'text';
  return manyLines ? /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(text) : /[\0-\x1f\x7f]/.test(text);
}

function read(kind: VariableKind, text: string): ParsedValue | undefined {
  switch (kind.type) {
    case 'integer':
      return readInteger(text, kind.min, kind.max);
    case 'number':
      return readNumber(text, kind);
    case 'boolean':
      return { YES: true, NO: false }[text.toUpperCase()];
    case 'list':
      return kind.options.includes(text) ? text : undefined;
    case 'version':
      return profileOf(text) ? text : undefined;
    case 'address':
      return parseHostPort(text) ? text : undefined;
    case 'certificate':
      return readCertificatesPem(text);
    case 'private-key':
      return readPem(text, 'private key');
    case 'node-config':
      return parseNodeConfig(text) ? text.trim() : undefined;
    case 'path':
      return isCleanPath(text) ? text : undefined;
    case 'database':
      return /^state\/\w[\w.-]*\.db$/.test(text) ? text : undefined;
    case 'token':
      return /^[A-Za-z0-9_-]{16,256}$/.test(text) ? text : undefined;
    case 'sha256':
      return /^[0-9a-fA-F]{64}$/.test(text) ? text.toLowerCase() : undefined;
    case 'certificate-names':
    case 'text':
      return text;
  }
}

function readCertificatesPem(text: string): string | undefined {
  const pem = readPem(text, 'certificate');
  try {
    return pem && readCertificates(pem).length > 0 ? pem : undefined;
  } catch {
    return undefined;
  }
}

function readInteger(text: string, min: number, max: number): number | undefined {
  if (!/^\d{1,15}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

type NumberKind = Extract<VariableKind, { type: 'number' }>;

function describeLimits({ above, min, below, max }: NumberKind): string {
  const limits = [
    above === undefined ? undefined : `above ${above}`,
    min === undefined ? undefined : `not below ${min}`,
    below === undefined ? undefined : `below ${below}`,
    max === undefined ? undefined : `at most ${max}`,
  ];
  return limits.filter(Boolean).join(' and ');
}

function readNumber(text: string, { above, min, below, max }: NumberKind): number | undefined {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return undefined;
  const value = Number(text);
  const outside =
    (above !== undefined && value <= above) ||
    (min !== undefined && value < min) ||
    (below !== undefined && value >= below) ||
    (max !== undefined && value > max);
  return Number.isFinite(value) && !outside ? value : undefined;
}

function isCleanPath(text: string): boolean {
  return text.startsWith('/') && !text.split('/').includes('..') && /^[\w./@+ -]+$/.test(text);
}
