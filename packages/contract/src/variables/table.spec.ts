import { describe, expect, it } from 'vitest';
import { parseValue } from './parse.ts';
import { variables } from './table.ts';
import type { Variable } from './types.ts';
import { renderUserInput } from './user-inputs.ts';

const all = variables as readonly Variable[];

describe('the table of variables', () => {
  it('has each name once', () => {
    expect(new Set(all.map(variable => variable.name)).size).toBe(all.length);
  });

  it.each(all.filter(variable => variable.default !== ''))('accepts the default of $name', variable => {
    expect(parseValue(variable, variable.default).ok).toBe(true);
  });

  it.each(all)('says of $name in one sentence what it is and in another what it changes', ({ help, effect }) => {
    expect(help).toMatch(/^[A-Z].*\.$/);
    expect(effect).toMatch(/\.$/);
  });

  it.each(all)('renders $name as a user input of five fields', variable => {
    expect(renderUserInput(variable).split('|')).toHaveLength(5);
  });
});
