import type { Variable } from '@oneflower/contract';
import type { CommandSpec } from '../command/spec.ts';
import { renderTable } from '../output/table.ts';

export const variables: CommandSpec = {
  name: 'variables',
  summary: 'Show the variables that a deployment takes',
  arguments: [{ name: '[name]', help: 'one variable, with its rule and effect' }],
  examples: ['oneflower variables', 'oneflower variables FL_NUM_ROUNDS'],
  async run({ arguments: [name] }) {
    const contract = await import('@oneflower/contract');
    const table: readonly Variable[] = contract.variables;
    if (name === undefined) {
      const rows = table.map(one => [one.name, one.roles.join(', '), one.default === '' ? '-' : one.default, one.help]);
      return {
        document: { variables: table.map(one => describe(one, contract.ruleOf)) },
        text: `${renderTable(['NAME', 'ROLES', 'DEFAULT', 'MEANING'], rows)}\n`,
      };
    }
    const variable = contract.findVariable(name.toUpperCase());
    if (!variable) throw await unknown(name, table);
    return {
      document: { variables: [describe(variable, contract.ruleOf)] },
      text: renderOne(variable, contract.ruleOf),
    };
  },
};

type RuleOf = (kind: Variable['kind']) => string;

function describe(variable: Variable, ruleOf: RuleOf): Record<string, unknown> {
  const { name, roles, kind, default: fallback, source, secret = false, help, effect, applies = null } = variable;
  return {
    name,
    roles,
    type: kind.type,
    rule: `must ${ruleOf(kind)}`,
    default: fallback,
    source,
    secret,
    help,
    effect,
    applies,
  };
}

function renderOne(variable: Variable, ruleOf: RuleOf): string {
  const lines = [
    `${variable.name}: ${variable.help}`,
    `Value: must ${ruleOf(variable.kind)}${variable.secret ? '; it is secret' : ''}`,
    `Default: ${variable.default === '' ? 'none' : variable.default}`,
    `Roles: ${variable.roles.join(', ')}`,
    `Effect: ${variable.effect}`,
  ];
  if (variable.applies) lines.push(`Applies when: ${variable.applies}`);
  if (variable.source === 'platform') lines.push('Given by the platform: a deployment sets it by itself.');
  return `${lines.join('\n')}\n`;
}

async function unknown(name: string, table: readonly Variable[]): Promise<Error> {
  const { nearest, OneFlowerError } = await import('@oneflower/contract');
  const meant = nearest(
    name,
    table.map(one => one.name),
  );
  return new OneFlowerError({
    code: 'variable-unknown',
    message: `There is no variable ${JSON.stringify(name.slice(0, 60))}.${meant ? ` Did you mean ${meant}?` : ''}`,
    remedy: 'oneflower variables lists them.',
    fault: 'user',
  });
}
