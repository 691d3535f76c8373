import { profileOf } from '../flower-profiles.ts';
import { nearest } from '../nearest.ts';
import { ports } from '../ports.ts';
import { strategyProblems, strategyWarnings, unusedByStrategy } from '../strategies.ts';
import { type Framework, useCases } from '../use-cases.ts';
import { parseHostPort } from './addresses.ts';
import { parseCertificateNames } from './certificate-names.ts';
import { partitionRule } from './node-config.ts';
import { type ParsedValue, parseValue } from './parse.ts';
import { checkpointsOn, findVariable, type VariableName, variables, variablesOf } from './table.ts';
import type { Role, Variable } from './types.ts';

type Entry = (typeof variables)[number];
type ValueOf<K> = K extends { type: 'integer' | 'number' } ? number : K extends { type: 'boolean' } ? boolean : string;

/** The typed values of all variables; a variable without a value and default is an empty string. */
export type Settings = { [E in Entry as E['name']]: ValueOf<E['kind']> | (E['default'] extends '' ? '' : never) };

/** One thing wrong with the values: which variable, what was given, what it must be. */
export interface Problem {
  variable: VariableName;
  /** The value as given, shortened; never that of a secret. */
  value: string;
  /** Worded to follow "must". */
  rule: string;
}

/** All there is to say about a set of values. `settings` is complete only when there is no problem. */
export interface Validation {
  settings: Settings;
  problems: Problem[];
  warnings: string[];
}

/**
 * Checks the values of one role's CONTEXT, or of the whole service when no role is given, and reads them.
 * Absent and empty values mean the default. Everything wrong is reported together. Names that are not in the
 * table are left to {@link unknownVariables}.
 */
export function validate(given: Readonly<Record<string, string | undefined>>, role?: Role): Validation {
  const problems: Problem[] = [];
  const settings: Record<string, ParsedValue> = {};
  const concerned = role ? variablesOf(role) : (variables as readonly Variable[]);
  for (const variable of variables as readonly Variable[]) {
    settings[variable.name] = defaultOf(variable);
    const text = concerned.includes(variable) ? (given[variable.name] ?? '') : '';
    if (text.trim() === '') continue;
    const result = parseValue(variable, text);
    if (result.ok) settings[variable.name] = result.value;
    else problems.push(problem(variable, text, result.rule));
  }
  const complete = settings as Settings;
  if (problems.length === 0) problems.push(...problemsAcross(complete, role));
  return { settings: complete, problems, warnings: problems.length > 0 ? [] : warningsFor(complete, role) };
}

/** What all variables mean when none is given. */
export function defaultSettings(): Settings {
  const entries = (variables as readonly Variable[]).map(variable => [variable.name, defaultOf(variable)]);
  return Object.fromEntries(entries) as Settings;
}

/** One sentence for a problem, the same everywhere. */
export function describeProblem({ variable, value, rule }: Problem): string {
  return value === ''
    ? `${variable} must ${rule}.`
    : `${variable}=${JSON.stringify(value)} is refused: it must ${rule}.`;
}

/** Names that look like ours but are not in the table, each with the nearest name that is. */
export function unknownVariables(names: Iterable<string>): { name: string; nearest: string | undefined }[] {
  return [...names]
    .filter(name => /^(FL_|FLOWER_|ML_)/.test(name) && !findVariable(name))
    .map(name => ({
      name,
      nearest: nearest(
        name,
        variables.map(variable => variable.name),
      ),
    }));
}

function defaultOf(variable: Variable): ParsedValue {
  if (variable.default === '') return '';
  const result = parseValue(variable, variable.default);
  if (!result.ok) throw new Error(`The default of ${variable.name} must ${result.rule}.`);
  return result.value;
}

function problem(variable: Variable, text: string, rule: string): Problem {
  return { variable: variable.name as VariableName, value: variable.secret ? '(not shown)' : shorten(text), rule };
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function problemsAcross(settings: Settings, role: Role | undefined): Problem[] {
  const problems: Problem[] = [];
  const frameworks: readonly Framework[] = useCases[settings.FL_USE_CASE as keyof typeof useCases].frameworks;
  if (!frameworks.includes(settings.ML_FRAMEWORK as Framework)) {
    const rule = `be one of ${frameworks.join(', ')} with FL_USE_CASE=${settings.FL_USE_CASE}`;
    problems.push({ variable: 'ML_FRAMEWORK', value: settings.ML_FRAMEWORK, rule });
  }
  if (role !== 'supernode') problems.push(...superlinkProblems(settings));
  const rule = role === 'superlink' ? undefined : partitionRule(settings.FL_NODE_CONFIG);
  if (rule !== undefined) problems.push({ variable: 'FL_NODE_CONFIG', value: shorten(settings.FL_NODE_CONFIG), rule });
  return problems;
}

function superlinkProblems(settings: Settings): Problem[] {
  const problems: Problem[] = [];
  const trio = ['FL_SSL_CA_CERTFILE', 'FL_SSL_CERTFILE', 'FL_SSL_KEYFILE'] as const;
  const given = trio.filter(name => settings[name] !== '');
  if (given.length > 0 && given.length < trio.length) {
    for (const name of trio.filter(name => settings[name] === '')) {
      problems.push({ variable: name, value: '', rule: `be given together with ${given.join(' and ')}` });
    }
  }
  const fleet = parseHostPort(settings.FL_FLEET_API_ADDRESS);
  const control = parseHostPort(settings.FL_CONTROL_API_ADDRESS);
  if (fleet?.port === control?.port) {
    const rule = `name another port than FL_FLEET_API_ADDRESS, which is ${settings.FL_FLEET_API_ADDRESS}`;
    problems.push({ variable: 'FL_CONTROL_API_ADDRESS', value: settings.FL_CONTROL_API_ADDRESS, rule });
  }
  for (const name of ['FL_FLEET_API_ADDRESS', 'FL_CONTROL_API_ADDRESS'] as const) {
    const rule = portRule(settings[name], settings.FLOWER_VERSION);
    if (rule !== undefined) problems.push({ variable: name, value: settings[name], rule });
  }
  if (settings.FL_USE_CASE === 'none') return problems;
  for (const { variable, rule } of strategyProblems(settings)) {
    problems.push({ variable, value: String(settings[variable]), rule });
  }
  return problems;
}

/** Flower's own ports are taken on loopback, and by that on all addresses together. */
function portRule(address: string, flowerVersion: string): string | undefined {
  const { host, port } = parseHostPort(address) ?? { host: '', port: 0 };
  if (!/^(0\.0\.0\.0|127\..*|localhost|::|::1)$/.test(host)) return undefined;
  const taken: number[] = [ports.superlink];
  if (profileOf(flowerVersion)?.fleet === 'grpc') taken.push(ports.superlinkGrpcFleet);
  if (!taken.includes(port)) return undefined;
  return `name another port than ${port}, where Flower ${flowerVersion} itself listens on loopback`;
}

function warningsFor(settings: Settings, role: Role | undefined): string[] {
  if (role === 'supernode') return [];
  const warnings: string[] = settings.FL_USE_CASE === 'none' ? [] : trainingWarnings(settings);
  for (const variable of variables as readonly Variable[]) {
    const why = whyUnused(variable, settings);
    const value = settings[variable.name as VariableName];
    if (why && value !== defaultOf(variable)) warnings.push(`${variable.name}=${value} is not used: ${why}.`);
  }
  if (!settings.FL_TLS_ENABLED) {
    warnings.push('FL_TLS_ENABLED=NO: SuperNodes are neither encrypted nor authenticated.');
    if (settings.FL_SSL_CA_CERTFILE !== '')
      warnings.push('The FL_SSL_ certificates are not used, because FL_TLS_ENABLED is NO.');
  }
  for (const entry of parseCertificateNames(settings.FL_CERT_EXTRA_SAN).ignored) {
    warnings.push(`FL_CERT_EXTRA_SAN: ${JSON.stringify(entry)} is left out: it is neither IP:ADDRESS nor DNS:NAME.`);
  }
  return warnings;
}

function trainingWarnings(settings: Settings): string[] {
  const available = settings.FL_MIN_AVAILABLE_CLIENTS;
  const more = (['FL_MIN_FIT_CLIENTS', 'FL_MIN_EVALUATE_CLIENTS'] as const).filter(name => settings[name] > available);
  const words = more.map(
    name =>
      `${name}=${settings[name]} is more than FL_MIN_AVAILABLE_CLIENTS=${available}: rounds wait until so many SuperNodes are online.`,
  );
  return [...strategyWarnings(settings), ...words];
}

/** Why nothing looks at a variable, whatever its value; undefined where something does. */
function whyUnused({ name, runConfig, applies }: Variable, settings: Settings): string | undefined {
  if (applies === undefined) return undefined;
  const { FL_USE_CASE, FL_STRATEGY, FL_CHECKPOINT_ENABLED, FL_TLS_ENABLED, FL_SSL_CERTFILE } = settings;
  if (runConfig !== undefined && FL_USE_CASE === 'none') return 'FL_USE_CASE is none';
  if (unusedByStrategy(FL_STRATEGY).includes(name)) return `FL_STRATEGY is ${FL_STRATEGY}`;
  if (applies === checkpointsOn && !FL_CHECKPOINT_ENABLED) return 'FL_CHECKPOINT_ENABLED is NO';
  if (name !== 'FL_CERT_EXTRA_SAN') return undefined;
  if (!FL_TLS_ENABLED) return 'FL_TLS_ENABLED is NO';
  return FL_SSL_CERTFILE === '' ? undefined : 'FL_SSL_CERTFILE is given';
}
