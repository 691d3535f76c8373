import type { Variable } from './types.ts';

/**
 * A variable as OpenNebula's USER_INPUTS write it: `O|TYPE|DESCRIPTION|OPTIONS|DEFAULT`.
 * `|` separates the fields, so it may not stand in a description.
 */
export function renderUserInput(variable: Variable): string {
  const { type, options } = inputType(variable);
  return ['O', type, variable.help.replaceAll('|', '/'), options, variable.default].join('|');
}

function inputType({ kind }: Variable): { type: string; options: string } {
  switch (kind.type) {
    case 'integer':
      return { type: 'number', options: '' };
    case 'number':
      return { type: 'number-float', options: '' };
    case 'boolean':
      return { type: 'boolean', options: '' };
    case 'list':
      return { type: 'list', options: kind.options.join(',') };
    case 'certificate':
    case 'private-key':
      return { type: 'text64', options: '' };
    default:
      return { type: 'text', options: '' };
  }
}
