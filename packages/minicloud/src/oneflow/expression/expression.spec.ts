import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { recordedJson } from '../../testing/recordings.ts';
import { evaluateExpression } from './evaluate.ts';
import { decimalText, numberOf } from './number.ts';
import { parseExpression } from './parse.ts';

interface Posted {
  expression: string;
  status: number;
  error: string | null;
}
interface Evaluated {
  expression: string;
  expression_evaluated: string;
  true: boolean;
}

/** What the two VMs of the recording held; the monitoring figures are those shown in its answers. */
const values: Record<string, string[]> = {
  FL_LOAD: ['95', '85'],
  FL_TXT: ['abc', 'def'],
  FL_PART: ['5'],
  FL_THIRD: ['0', '0.6667'],
  FL_NEG: ['-3', '-2'],
  FL_SCI: ['1e3', '1e3'],
  FL_PCT: ['50%', '40%'],
  CPU: ['0', '0.0'],
  MEMORY: ['416808', '416809'],
  NETRX: ['5258', '5258'],
  NETTX: ['5108', '5108'],
  DISKRDBYTES: ['409', '410'],
  ID: ['59', '60'],
  STATE: ['3', '3'],
  UID: ['0', '0'],
  STIME: ['1795454939', '1795454939'],
};

function read(name: string): string[] {
  return values[name] ?? [];
}

describe('elasticity expressions', () => {
  const posted = recordedJson<Posted[]>('oneflow/elasticity-expressions.json').filter(entry => entry.expression !== '');
  it.each(posted)('parses or refuses $expression as recorded', ({ expression, status, error }) => {
    const result = parseExpression(expression);
    expect(result.ok).toBe(status === 201);
    if (!result.ok)
      expect(error).toBe(`Role 'supernode', elasticity policy #0 'expression' parse error: ${result.message}`);
  });

  const evaluated = recordedJson<Evaluated[]>('oneflow/elasticity-evaluations.json');
  it.each(evaluated)('evaluates $expression as recorded', entry => {
    const parsed = parseExpression(entry.expression);
    if (!parsed.ok) throw new Error(parsed.message);
    expect(evaluateExpression(parsed.expression, read)).toEqual({
      holds: entry.true,
      text: entry.expression_evaluated,
    });
  });

  it('groups to the right with equal rank', () => {
    const parsed = parseExpression('FL_LOAD < 0 && FL_LOAD < 0 || FL_LOAD > 0');
    expect(parsed.ok && evaluateExpression(parsed.expression, read).holds).toBe(false);
  });

  it('survives any text', () => {
    const piece = fc.constantFrom(
      'A',
      'b_1',
      '(',
      ')',
      '!',
      ' ',
      '&&',
      '|',
      '=',
      '<',
      '>',
      '1',
      '.5',
      '-',
      '"',
      "'",
      '\n',
      'é',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), pieces => {
        const result = parseExpression(pieces.join(''));
        if (result.ok) expect(typeof evaluateExpression(result.expression, read).holds).toBe('boolean');
        else expect(result.message).toMatch(/^Expected /);
      }),
    );
  });

  it('refuses nesting without end instead of breaking', () => {
    expect(parseExpression('('.repeat(100_000)).ok).toBe(false);
    expect(parseExpression(`${'!'.repeat(100_000)}A > 1`).ok).toBe(false);
  });

  it('shows what it evaluated so that it parses to the same truth', () => {
    const name = fc.constantFrom('FL_LOAD', 'FL_PART', 'NOSUCH');
    const comparison = fc
      .tuple(name, fc.constantFrom('=', '!=', '>', '<='), fc.integer({ min: -100, max: 100 }))
      .map(([left, comparator, right]) => `${left} ${comparator} ${right}`);
    const joined = fc
      .array(fc.tuple(comparison, fc.constantFrom('&&', '||')), { minLength: 1, maxLength: 5 })
      .map(pairs => pairs.map(([text, connective], at) => (at === 0 ? text : `${connective} ${text}`)).join(' '));
    fc.assert(
      fc.property(joined, text => {
        const parsed = parseExpression(text);
        if (!parsed.ok) throw new Error(parsed.message);
        const first = evaluateExpression(parsed.expression, read);
        const again = parseExpression(first.text.replace(/\[[^\]]*\]/g, ''));
        expect(again.ok && evaluateExpression(again.expression, read)).toEqual(first);
      }),
    );
  });
});

describe('numbers in texts', () => {
  it('reads the number that a text starts with', () => {
    expect(['', ' 7', '.5', '1_000', '1.', 'x1', '-2.5kg', '+3'].map(numberOf)).toEqual([
      0, 7, 0.5, 1000, 1, 0, -2.5, 3,
    ]);
  });
  it('shows a decimal point always', () => {
    expect([0, -3, 0.33, 1e15, 1e20, 1.5e20].map(decimalText)).toEqual([
      '0.0',
      '-3.0',
      '0.33',
      '1000000000000000.0',
      '1.0e+20',
      '1.5e+20',
    ]);
  });
});
