import {
  describeProblem,
  findVariable,
  nearest,
  OneFlowerError,
  ports,
  type Settings,
  type Variable,
  validate,
  variables,
} from '@oneflower/contract';
import type { GivenValues } from './sources.ts';

/** What a deployment takes for a variable that nobody gave, where that is not the variable's own default. */
const deploymentDefaults: GivenValues = {
  // An operator token is made for each deployment, so the operator API may be reached from outside the VM.
  FL_CONTROL_API_ADDRESS: `0.0.0.0:${ports.control}`,
};

/** Set by every deployment, because OneFlow's readiness gate and OneGate discovery rest on them. */
const fixed: GivenValues = { TOKEN: 'YES', NETWORK: 'YES', REPORT_READY: 'YES' };

/** Values that passed every check: as they are written, and as they are meant. */
export interface CheckedValues {
  /** Only what was given or is a deployment's own default; never empty. */
  written: GivenValues;
  settings: Settings;
  warnings: string[];
}

/** One thing wrong with what was given. */
export interface ValueProblem {
  variable: string;
  /** The whole sentence. */
  problem: string;
  nearest?: string;
}

/**
 * Checks the values of a deployment and reports everything wrong with them together.
 * @throws OneFlowerError `variables-invalid`, `details.problems` lists them.
 */
export function checkValues(given: Readonly<GivenValues>): CheckedValues {
  const unknown = Object.keys(given)
    .filter(name => !findVariable(name))
    .map(unknownProblem);
  const written: GivenValues = { ...deploymentDefaults };
  for (const [name, value] of Object.entries(given)) {
    if (value.trim() !== '' && !Object.hasOwn(fixed, name)) written[name] = value;
  }
  const { settings, problems, warnings } = validate(written);
  const invalid = problems.map(found => ({ variable: found.variable, problem: describeProblem(found) }));
  const all: ValueProblem[] = [...unknown, ...fixedProblems(given), ...invalid, ...carriageProblems(written)];
  if (all.length > 0) throw refusal(all);
  const inside =
    written.FL_SUPERLINK_ADDRESS === undefined
      ? []
      : [
          'FL_SUPERLINK_ADDRESS is given: the SuperNodes of this service join that SuperLink, not the one of the service.',
        ];
  return { written: encoded(written), settings, warnings: [...warnings, ...inside] };
}

function unknownProblem(name: string): ValueProblem {
  const meant = nearest(
    name,
    variables.map(variable => variable.name),
  );
  const hint = meant ? ` Did you mean ${meant}?` : '';
  return {
    variable: name,
    problem: `There is no variable ${JSON.stringify(name)}.${hint}`,
    ...(meant === undefined ? {} : { nearest: meant }),
  };
}

function fixedProblems(given: Readonly<GivenValues>): ValueProblem[] {
  const problems = Object.entries(fixed)
    .filter(([name, value]) => (given[name] ?? '') !== '' && given[name]?.toUpperCase() !== value)
    .map(([variable, value]) => ({ variable, problem: `${variable} is always ${value} in a deployment.` }));
  if ((given.FL_OPERATOR_TOKEN_HASH ?? '') !== '') {
    const problem = 'FL_OPERATOR_TOKEN_HASH is made by the deployment and cannot be given.';
    problems.push({ variable: 'FL_OPERATOR_TOKEN_HASH', problem });
  }
  return problems;
}

/** What OneFlow cannot carry: it fails at `]]>` and beyond U+FFFF, and blanks every `${...}` that is no reference. */
function carriageProblems(written: Readonly<GivenValues>): ValueProblem[] {
  const problems: ValueProblem[] = [];
  for (const [variable, value] of Object.entries(written)) {
    const offender = /\]\]>|\$\{|[\u{10000}-\u{10ffff}]|\\(?:"|$)/u.exec(value)?.[0];
    if (offender === undefined) continue;
    problems.push({
      variable,
      problem: `${variable} holds ${JSON.stringify(offender)}, which OpenNebula cannot carry in a context.`,
    });
  }
  return problems;
}

/** Certificates and keys have many lines, so they travel as base64. */
function encoded(written: GivenValues): GivenValues {
  const isPem = (variable: Variable | undefined): boolean =>
    variable?.kind.type === 'certificate' || variable?.kind.type === 'private-key';
  return Object.fromEntries(
    Object.entries(written).map(([name, value]) => [
      name,
      isPem(findVariable(name)) && value.includes('-----BEGIN') ? Buffer.from(value).toString('base64') : value,
    ]),
  );
}

function refusal(problems: ValueProblem[]): OneFlowerError {
  const count = problems.length === 1 ? 'One variable is' : `${problems.length} variables are`;
  return new OneFlowerError({
    code: 'variables-invalid',
    message: `${count} not as ${problems.length === 1 ? 'it' : 'they'} must be: ${problems.map(({ problem }) => problem).join(' ')}`,
    remedy: 'Correct what is named; oneflower variables NAME says what a variable takes.',
    fault: 'user',
    details: { problems },
  });
}
