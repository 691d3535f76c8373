import {
  attributes,
  failures,
  ruleOf,
  type Strategy,
  strategies,
  useCases,
  type Variable,
  variables,
} from '@oneflower/contract';

/** `docs/variables.md`: variables, attributes and failure codes, from their tables. */
export function renderVariablesPage(): string {
  const all = variables as readonly Variable[];
  return `${[
    '<!-- Derived from packages/contract/src by `npm run generate`; change the tables, not this page. -->',
    '# Context variables',
    'Every variable is optional; empty means the default. All that is wrong is reported together, with the same words when a service is deployed and when a VM boots. One rule is held by `oneflower deploy` and `oneflower scale` alone: that there are as many SuperNodes as the FL_MIN_ variables ask for. A VM that boots does not look at their number, which OneGate may not tell it: it waits for them, and says so.',
    ...all.filter(variable => variable.source === 'operator').map(section),
    '# Variables of the platform',
    'OpenNebula or the VM template gives these; they are no inputs of the service.',
    ...all.filter(variable => variable.source === 'platform').map(section),
    '# Use cases',
    'Values of FL_USE_CASE, and the values of ML_FRAMEWORK that go with each.',
    table(
      ['use case', 'what it is', 'frameworks'],
      Object.entries(useCases).map(([name, entry]) => [name, entry.title, entry.frameworks.join(', ')]),
    ),
    '# Strategies',
    'Values of FL_STRATEGY. f is FL_NUM_MALICIOUS; the nodes counted are the largest of FL_MIN_AVAILABLE_CLIENTS, FL_MIN_FIT_CLIENTS and FL_MIN_EVALUATE_CLIENTS: a round begins with so many online.',
    table(['strategy', 'what it does', 'variables of its own', 'fewest nodes'], strategyRows()),
    '# Attributes',
    'What a VM publishes about itself through OneGate, all in one request.',
    table(
      ['attribute', 'of', 'form', 'meaning'],
      Object.entries(attributes).map(([name, entry]) => [name, entry.roles.join(', '), entry.form, entry.help]),
    ),
    '# Failure codes',
    'Values of FL_ERROR. FL_ERROR_TEXT says in full what failed.',
    table(
      ['code', 'likely cause', 'what to do'],
      Object.entries(failures).map(([code, entry]) => [code, entry.reason, entry.remedy]),
    ),
  ].join('\n\n')}\n`;
}

function strategyRows(): string[][] {
  return Object.entries<Strategy>(strategies).map(([name, { help, variables, leastReplies }]) => [
    ...[name, help, variables.join(', ')],
    leastReplies?.formula ?? '',
  ]);
}

function section(variable: Variable): string {
  const facts = [
    ['role', variable.roles.join(', ')],
    ['must', ruleOf(variable.kind)],
    ['default', variable.default === '' ? 'none' : `\`${variable.default}\``],
    ['changes', variable.effect],
    ...(variable.applies ? [['applies when', variable.applies]] : []),
    ...(variable.secret ? [['secret', 'kept out of inputs, logs and attributes of the VM']] : []),
  ];
  return [`## ${variable.name}`, variable.help, table(['', ''], facts)].join('\n\n');
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
